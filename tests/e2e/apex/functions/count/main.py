def handle(event, context):
    return len(event["text"])
