import os


def handle(event, context):
    return {
        "said": f"{os.environ['GREETING']} {event['name']}",
        "stage": os.environ["STAGE"],
        "function": os.environ["APEX_FUNCTION_NAME"],
        "files": sorted(os.listdir(os.environ["LAMBDA_TASK_ROOT"])),
    }
