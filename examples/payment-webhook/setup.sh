#!/bin/sh
# Makes the bucket and the two functions, and lets the bucket call the second. Needs a running `lambent serve`, the AWS CLI, and
# the provider's secret in WEBHOOK_SECRET.
set -eu
: "${WEBHOOK_SECRET:?is needed: what the provider signs with}"
here=$(dirname "$0")
bucket=${1:-payments}
account=$(aws sts get-caller-identity --query Account --output text)
region=$(aws configure get region || echo "${AWS_DEFAULT_REGION:-us-east-1}")

aws s3 mb "s3://$bucket"
"${LAMBENT:-lambent}" deploy "$here" --no-url --name payment-settle --handler settle.handler
aws lambda add-permission --function-name payment-settle --statement-id "s3-$bucket" --action lambda:InvokeFunction \
    --principal s3.amazonaws.com --source-arn "arn:aws:s3:::$bucket" --source-account "$account"
aws s3api put-bucket-notification-configuration --bucket "$bucket" --notification-configuration "{
  \"LambdaFunctionConfigurations\": [{
    \"LambdaFunctionArn\": \"arn:aws:lambda:$region:$account:function:payment-settle\",
    \"Events\": [\"s3:ObjectCreated:*\"],
    \"Filter\": {\"Key\": {\"FilterRules\": [{\"Name\": \"prefix\", \"Value\": \"events/\"}]}}
  }]
}"
"${LAMBENT:-lambent}" deploy "$here" --name payment-webhook --handler receive.handler \
    --env "WEBHOOK_SECRET=$WEBHOOK_SECRET" --env "BUCKET=$bucket"
