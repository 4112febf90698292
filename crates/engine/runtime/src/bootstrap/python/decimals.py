"""JSON with decimal numbers written digit by digit, as the managed runtimes do."""

from json import encoder


class Digits(str):
    """The text of a number."""

    def __new__(cls, value):
        return str.__new__(cls, value)


def encode(value, convert, ascii):
    quoted = encoder.encode_basestring_ascii if ascii else encoder.encode_basestring

    def text(value):
        return str(value) if type(value) is Digits else quoted(value)

    make = encoder.c_make_encoder
    if make is None:
        raise TypeError("This interpreter cannot write decimal numbers as JSON")
    return "".join(make({}, convert, text, None, ": ", ", ", False, False, True)(value, 0))
