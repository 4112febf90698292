#!/bin/sh
# Makes the bucket and the three functions, and lets the bucket call each for its own prefix. Needs a running `lambent serve`
# and the AWS CLI.
set -eu
here=$(dirname "$0")
bucket=${1:-films}
account=$(aws sts get-caller-identity --query Account --output text)
region=$(aws configure get region || echo "${AWS_DEFAULT_REGION:-us-east-1}")

aws s3 mb "s3://$bucket"
configurations=
for step in split:in/ process:frames/ join:done/; do
    name=video-${step%%:*}
    "${LAMBENT:-lambent}" deploy "$here" --no-url --name "$name" --handler "${step%%:*}.handler"
    aws lambda add-permission --function-name "$name" --statement-id "s3-$bucket" --action lambda:InvokeFunction \
        --principal s3.amazonaws.com --source-arn "arn:aws:s3:::$bucket" --source-account "$account"
    configurations="$configurations${configurations:+,}{
      \"LambdaFunctionArn\": \"arn:aws:lambda:$region:$account:function:$name\",
      \"Events\": [\"s3:ObjectCreated:*\"],
      \"Filter\": {\"Key\": {\"FilterRules\": [{\"Name\": \"prefix\", \"Value\": \"${step#*:}\"}]}}
    }"
done
aws s3api put-bucket-notification-configuration --bucket "$bucket" \
    --notification-configuration "{\"LambdaFunctionConfigurations\": [$configurations]}"
echo "try: aws s3 cp film.gif s3://$bucket/in/ && lambent logs video-join --follow"
