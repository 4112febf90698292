"""A photo turned, blurred, made grey and small, as FunctionBench's image_processing."""

import io
import os

from PIL import Image, ImageFilter

PHOTO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "photo.jpg")


def handler(event, context):
    with Image.open(PHOTO) as photo:
        photo = photo.convert("RGB")
        small = photo.resize((256, 256))
        made = [small.rotate(90), small.filter(ImageFilter.GaussianBlur(2)), small.convert("L"), small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)]
    sizes = []
    for image in made:
        out = io.BytesIO()
        image.save(out, "JPEG")
        sizes.append(out.tell())
    return {"from": photo.size, "bytes": sizes}
