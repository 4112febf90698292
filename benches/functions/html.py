"""A table as HTML from a template, as FunctionBench's chameleon; with Jinja."""

import jinja2

PAGE = jinja2.Template(
    "<table>{% for row in rows %}<tr>{% for cell in row %}<td class=\"c{{ loop.index }}\">{{ cell | e }}</td>{% endfor %}</tr>{% endfor %}</table>"
)


def handler(event, context):
    rows, columns = event.get("rows", 100), event.get("columns", 20)
    text = PAGE.render(rows=[[f"<{row} & {column}>" for column in range(columns)] for row in range(rows)])
    return {"cells": text.count("<td"), "bytes": len(text)}
