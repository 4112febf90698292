//! Broken constraints, in AWS's words.

use wire::validate;

use crate::sample::{self, CreateFunctionRequest, Tag, full};

fn refused(change: impl FnOnce(&mut CreateFunctionRequest)) -> base::Fault {
    let mut input = full();
    change(&mut input);
    validate(&sample::rest::CREATE_FUNCTION, &input).unwrap_err()
}

fn says(change: impl FnOnce(&mut CreateFunctionRequest), words: &str) {
    let fault = refused(change);
    assert_eq!((&*fault.code, fault.status), ("ValidationException", 400));
    assert_eq!(fault.message, words);
}

#[test]
fn a_valid_input_passes() {
    validate(&sample::rest::CREATE_FUNCTION, &full()).unwrap();
}

#[test]
fn each_constraint_has_its_words() {
    says(
        |input| input.role = None,
        "1 validation error detected: Value null at 'role' failed to satisfy constraint: Member must not be null",
    );
    says(
        |input| input.role = Some("lambdarole".into()),
        "1 validation error detected: Value 'lambdarole' at 'role' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",
    );
    says(
        |input| input.timeout = Some(901),
        "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than \
         or equal to 900",
    );
    says(
        |input| input.kms_key_arn = Some(String::new()),
        "2 validation errors detected: Value '' at 'kMSKeyArn' failed to satisfy constraint: Member must have length greater \
         than or equal to 1; Value '' at 'kMSKeyArn' failed to satisfy constraint: Member must satisfy regular expression \
         pattern: [a-zA-Z0-9-_]+",
    );
}

#[test]
fn lists_and_maps_list_all_constraints_of_what_they_hold() {
    says(
        |input| input.layers = Some(vec!["arn:aws:a".into(), "x".into()]),
        "1 validation error detected: Value '[arn:aws:a, x]' at 'layers' failed to satisfy constraint: Member must satisfy \
         constraint: [Member must have length less than or equal to 140, Member must have length greater than or equal to 1, \
         Member must satisfy regular expression pattern: arn:[a-z:]+, Member must not be null]",
    );
    says(
        |input| input.weights = Some([("1".to_owned(), 1.5)].into()),
        "1 validation error detected: Value '{1=1.5}' at 'weights' failed to satisfy constraint: Map value must satisfy \
         constraint: [Member must have value less than or equal to 1, Member must have value greater than or equal to 0]",
    );
    says(
        |input| input.tags = Some(vec![Tag { key: Some("123456789".into()), value: None }]),
        "1 validation error detected: Value '123456789' at 'tags.1.member.key' failed to satisfy constraint: Member must have \
         length less than or equal to 8",
    );
    says(
        |input| input.tags = Some(vec![Tag::default(); 3]),
        "4 validation errors detected: Value '[Tag(), Tag(), Tag()]' at 'tags' failed to satisfy constraint: Member must have \
         length less than or equal to 2; Value null at 'tags.1.member.key' failed to satisfy constraint: Member must not be \
         null; Value null at 'tags.2.member.key' failed to satisfy constraint: Member must not be null; Value null at \
         'tags.3.member.key' failed to satisfy constraint: Member must not be null",
    );
}

#[test]
fn secrets_are_not_shown() {
    says(
        |input| input.password = Some("s3cret".into()),
        "1 validation error detected: Value at 'password' failed to satisfy constraint: Member must have length greater than \
         or equal to 8",
    );
    says(
        |input| {
            input.environment =
                Some(sample::Environment { variables: Some([("1".to_owned(), "s3cret".to_owned())].into()) })
        },
        "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy \
         constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+]",
    );
}

#[test]
fn lambda_answers_an_unknown_runtime_in_its_own_way() {
    let fault = refused(|input| input.runtime = Some("python3".into()));
    assert_eq!(fault.code, "InvalidParameterValueException");
    assert_eq!(
        fault.message,
        "Value python3 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs22.x, \
         python3.13] or be a valid ARN"
    );
}

#[test]
fn the_code_is_the_services() {
    let input = CreateFunctionRequest::default();
    assert_eq!(validate(&sample::json::PUT_THING, &input).unwrap_err().code, "InvalidParameterException");
    assert_eq!(validate(&sample::query::CREATE_ROLE, &input).unwrap_err().code, "ValidationError");
}
