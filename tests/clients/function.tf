# A function with all that belongs to it: applied, planned again without a difference, changed, destroyed.

variable "endpoint" {
  type = string
}

variable "runtime" {
  type = string
}

variable "zip" {
  type = string
}

variable "layer" {
  type = string
}

variable "stage" {
  type    = string
  default = "one"
}

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

provider "aws" {
  region                      = "us-east-1"
  access_key                  = "test"
  secret_key                  = "test"
  skip_credentials_validation = true
  skip_metadata_api_check     = true

  endpoints {
    iam    = var.endpoint
    lambda = var.endpoint
    logs   = var.endpoint
    sts    = var.endpoint
  }
}

resource "aws_iam_role" "function" {
  name = "terraformed"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.function.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_lambda_layer_version" "shared" {
  layer_name          = "terraformed"
  filename            = var.layer
  compatible_runtimes = [var.runtime]
}

resource "aws_lambda_function" "function" {
  function_name    = "terraformed"
  role             = aws_iam_role.function.arn
  runtime          = var.runtime
  handler          = "app.handler"
  filename         = var.zip
  source_code_hash = filebase64sha256(var.zip)
  layers           = [aws_lambda_layer_version.shared.arn]
  publish          = true
  timeout          = 5
  memory_size      = 256

  environment {
    variables = { STAGE = var.stage }
  }

  tags = { team = "blue" }
}

resource "aws_lambda_alias" "live" {
  name             = "live"
  function_name    = aws_lambda_function.function.function_name
  function_version = aws_lambda_function.function.version
}

resource "aws_lambda_permission" "bucket" {
  statement_id   = "bucket"
  function_name  = aws_lambda_function.function.function_name
  qualifier      = aws_lambda_alias.live.name
  action         = "lambda:InvokeFunction"
  principal      = "s3.amazonaws.com"
  source_arn     = "arn:aws:s3:::photos"
  source_account = "000000000000"
}

resource "aws_lambda_function_url" "url" {
  function_name      = aws_lambda_function.function.function_name
  authorization_type = "AWS_IAM"
}
