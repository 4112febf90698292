"""Two functions as Google's clouds run them: one of HTTP, one of CloudEvents."""

import functions_framework


@functions_framework.http
def hello(request):
    return {"hello": request.args.get("name", "world")}


@functions_framework.cloud_event
def seen(cloud_event):
    print(f"{cloud_event['type']} of {cloud_event['source']}: {cloud_event.data}")
