//! Which resource a call is about, and what the model says of actions and resources.

use wire::resource::{self, Piece};
use wire::{Kind, Op, Structure};

/// The input member of an operation, set to a text.
fn filled<O: Op>(set: impl FnOnce(&mut O::Input)) -> String {
    let mut input = O::Input::default();
    set(&mut input);
    resource::fill(O::ROW, &input as &dyn Structure, "eu-west-1", "111122223333")
}

#[test]
fn labels_are_filled_with_what_the_call_names() {
    use model::{kinesis, lambda, s3, sqs, ssm};
    let named = filled::<lambda::ops::GetFunction>(|input| input.function_name = Some("f".into()));
    assert_eq!(named, "arn:aws:lambda:eu-west-1:111122223333:function:f");
    let arn = "arn:aws:lambda:us-east-1:444455556666:function:g";
    let whole = filled::<lambda::ops::GetFunction>(|input| input.function_name = Some(arn.into()));
    assert_eq!(whole, arn, "an ARN stands for the whole");
    assert_eq!(filled::<s3::ops::GetObject>(|_| ()), "arn:aws:s3:::*/*", "what is not said may be anything");
    let object = filled::<s3::ops::GetObject>(|input| {
        input.bucket = Some("b".into());
        input.key = Some("a/b.txt".into());
    });
    assert_eq!(object, "arn:aws:s3:::b/a/b.txt");

    let queue = "arn:aws:sqs:eu-west-1:111122223333:orders";
    for url in ["http://127.0.0.1:4566/111122223333/orders", "http://h/1/orders/", "orders"] {
        assert_eq!(filled::<sqs::ops::SendMessage>(|input| input.queue_url = Some(url.into())), queue, "{url}");
    }
    for (name, wanted) in [("db", "parameter/db"), ("/app/db", "parameter/app/db")] {
        let found = filled::<ssm::ops::GetParameter>(|input| input.name = Some(name.into()));
        assert_eq!(found, format!("arn:aws:ssm:eu-west-1:111122223333:{wanted}"));
    }
    assert_eq!(filled::<ssm::ops::GetParametersByPath>(|_| ()), "arn:aws:ssm:eu-west-1:111122223333:parameter/*");

    let stream = "arn:aws:kinesis:eu-west-1:111122223333:stream/s";
    assert_eq!(filled::<kinesis::ops::PutRecord>(|input| input.stream_name = Some("s".into())), stream);
    assert_eq!(filled::<kinesis::ops::PutRecord>(|input| input.stream_arn = Some(stream.into())), stream);
    let tags = filled::<model::apigateway::ops::GetTags>(|input| {
        input.resource_arn = Some("arn:aws:apigateway:eu-west-1::/restapis/x".into());
    });
    assert_eq!(tags, "arn:aws:apigateway:eu-west-1::/tags/arn%3Aaws%3Aapigateway%3Aeu-west-1%3A%3A%2Frestapis%2Fx");
}

/// A label that names no text of the input would always be `*`: a policy about one resource would never match.
#[test]
fn every_label_of_a_template_is_a_text_of_the_input() {
    for operation in model::SERVICES.iter().flat_map(|service| service.operations) {
        let labels = resource::pieces(operation.resource).filter_map(|piece| match piece {
            Piece::Label(label) => Some(label),
            Piece::Text(text) => {
                assert!(!text.contains(['{', '}']), "{operation:?}: {}", operation.resource);
                None
            }
        });
        for member in labels.filter(|label| !matches!(*label, "region" | "account")).flat_map(resource::members) {
            let found = operation.input_shape.members().iter().find(|one| one.name == member);
            let found = found.unwrap_or_else(|| panic!("{operation:?} has no member {member}"));
            let is_text = matches!(found.shape.kind, Kind::Text | Kind::Integer | Kind::Long);
            assert!(is_text, "{operation:?}: {member} is no text");
        }
        let template = operation.resource;
        assert!(template == "*" || template.starts_with("arn:aws:") || template.starts_with('{'), "{operation:?}");
    }
}

#[test]
fn every_action_begins_with_its_services_prefix() {
    for service in model::SERVICES {
        let prefix = service.operations[0].action.split(':').next();
        for operation in service.operations {
            let (before, name) = operation.action.split_once(':').unwrap();
            assert_eq!(Some(before), prefix, "{operation:?}");
            assert!(
                !before.is_empty()
                    && before.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-')
            );
            assert!(!name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric()), "{}", operation.action);
        }
    }
}
