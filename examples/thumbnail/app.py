"""A function behind a URL: a picture in, its thumbnail out."""

import base64
import io

from PIL import Image, ImageOps, UnidentifiedImageError

LARGEST = (300, 300)
# A few kilobytes can unpack to gigabytes: the pixel count is known before a pixel is read.
MOST_PIXELS = 50_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

USAGE = "Send a picture: curl --data-binary @photo.jpg URL > thumbnail.jpg\n"


def handler(event, context):
    method = event.get("requestContext", {}).get("http", {}).get("method", "POST")
    if method in ("GET", "HEAD"):
        return text(200, USAGE)
    if method not in ("POST", "PUT"):
        return text(405, USAGE, allow="GET, POST, PUT")
    try:
        picture = body(event)
    except ValueError:
        return text(400, "The body is not base64.\n")
    if not picture:
        return text(400, "The body is empty. " + USAGE)
    try:
        thumbnail, size = shrink(picture)
    except TooLarge as error:
        return text(413, f"{error}\n")
    except UnidentifiedImageError:
        return text(415, f"This is not a picture in one of these formats: {', '.join(FORMATS)}.\n")
    except (OSError, SyntaxError, ValueError) as error:
        return text(400, f"The picture is damaged: {error}\n")
    return {
        "statusCode": 200,
        "headers": {
            "content-type": "image/jpeg",
            "picture-size": f"{size[0]}x{size[1]}",
        },
        "body": base64.b64encode(thumbnail).decode("ascii"),
        "isBase64Encoded": True,
    }


class TooLarge(Exception):
    """The picture has more pixels than this function unpacks."""


def body(event):
    """The request's body as bytes."""
    raw = event.get("body") or ""
    if event.get("isBase64Encoded"):
        return base64.b64decode(raw, validate=True)
    return raw.encode("latin-1", "replace")


def shrink(picture):
    """The thumbnail as JPEG, and the picture's own size."""
    # Pillow's own guard only warns below twice its limit; ours below is exact.
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(io.BytesIO(picture), formats=FORMATS) as image:
        size = image.size
        if size[0] * size[1] > MOST_PIXELS:
            raise TooLarge(f"{size[0]} x {size[1]} is more than {MOST_PIXELS // 1_000_000} million pixels.")
        # JPEG only: unpacks at a fraction of the size, which saves most of the time and memory.
        image.draft("RGB", (LARGEST[0] * 2, LARGEST[1] * 2))
        upright = ImageOps.exif_transpose(image)
        upright.thumbnail(LARGEST, Image.Resampling.LANCZOS)
        out = io.BytesIO()
        flatten(upright).save(out, "JPEG", quality=85, optimize=True)
    return out.getvalue(), size


def flatten(image):
    """The picture on white: JPEG knows no transparency."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def text(status, words, **headers):
    return {
        "statusCode": status,
        "headers": {"content-type": "text/plain; charset=utf-8", **headers},
        "body": words,
    }
