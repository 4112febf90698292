"""Runs on a schedule: EventBridge sends one event each time."""

from datetime import datetime


def handler(event, context):
    # The time it was due, not the time it began: a late or repeated run does the same work.
    due = datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
    rule = event["resources"][0].rsplit("/", 1)[-1] if event.get("resources") else "by hand"
    print(f"{rule}: the run of {due:%Y-%m-%d %H:%M} UTC")
    return {"day": f"{due:%Y-%m-%d}"}
