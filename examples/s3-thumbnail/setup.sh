#!/bin/sh
# Makes the buckets and the function, and lets the first bucket call it. Needs a running `lambent serve` and the AWS CLI.
set -eu
here=$(dirname "$0")
source=${1:-pictures}
target=${2:-thumbnails}
name=s3-thumbnail
account=$(aws sts get-caller-identity --query Account --output text)
region=$(aws configure get region || echo "${AWS_DEFAULT_REGION:-us-east-1}")

aws s3 mb "s3://$source"
[ "$source" = "$target" ] || aws s3 mb "s3://$target"
"${LAMBENT:-lambent}" deploy "$here" --no-url --name "$name" --env "TARGET_BUCKET=$target"
aws lambda add-permission --function-name "$name" --statement-id "s3-$source" --action lambda:InvokeFunction \
    --principal s3.amazonaws.com --source-arn "arn:aws:s3:::$source" --source-account "$account"
aws s3api put-bucket-notification-configuration --bucket "$source" --notification-configuration "{
  \"LambdaFunctionConfigurations\": [{
    \"LambdaFunctionArn\": \"arn:aws:lambda:$region:$account:function:$name\",
    \"Events\": [\"s3:ObjectCreated:*\"]
  }]
}"
echo "try: aws s3 cp picture.jpg s3://$source/ && aws s3 ls s3://$target/"
