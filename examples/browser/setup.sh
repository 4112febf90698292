#!/bin/sh
# Makes the function, a bucket that serves the page, and a user who may do nothing but call the function. Needs a running
# `lambent serve` and the AWS CLI.
set -eu
here=$(dirname "$0")
bucket=${1:-letters-page}
name=letters
endpoint=${AWS_ENDPOINT_URL:?is needed: where the platform listens}
region=$(aws configure get region || echo "${AWS_DEFAULT_REGION:-us-east-1}")
account=$(aws sts get-caller-identity --query Account --output text)
page="http://$bucket.s3-website.$region.localhost:${endpoint##*:}"

url=$("${LAMBENT:-lambent}" deploy "$here" --name "$name" | sed -n 's/^url //p')
aws lambda update-function-url-config --function-name "$name" --cors "AllowOrigins=$page,AllowMethods=POST"

aws s3 mb "s3://$bucket"
aws s3api delete-public-access-block --bucket "$bucket"
aws s3api put-bucket-policy --bucket "$bucket" --policy "{\"Version\": \"2012-10-17\", \"Statement\": [{
  \"Effect\": \"Allow\", \"Principal\": \"*\", \"Action\": \"s3:GetObject\", \"Resource\": \"arn:aws:s3:::$bucket/*\"}]}"
aws s3 website "s3://$bucket" --index-document index.html
aws s3 cp "$here/index.html" "s3://$bucket/"
aws s3 cp "$here/sigv4.js" "s3://$bucket/"
echo "{\"url\": \"$url\", \"endpoint\": \"$endpoint\", \"name\": \"$name\", \"region\": \"$region\"}" |
    aws s3 cp - "s3://$bucket/config.json" --content-type application/json

aws iam create-user --user-name "$name-page"
aws iam put-user-policy --user-name "$name-page" --policy-name call --policy-document "{\"Version\": \"2012-10-17\",
  \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"lambda:InvokeFunction\",
    \"Resource\": \"arn:aws:lambda:$region:$account:function:$name\"}]}"
echo "key $(aws iam create-access-key --user-name "$name-page" --query 'AccessKey.[AccessKeyId, SecretAccessKey]' --output text)"
echo "page $page"
