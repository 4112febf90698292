"""Draws `film.gif`: a ball that crosses the picture, twelve frames. Needs Pillow."""

import pathlib

from PIL import Image, ImageDraw


def frame(number, of=12, size=(160, 90)):
    picture = Image.new("RGB", size, (24, 32, 64))
    x = number * (size[0] - 24) // (of - 1)
    ImageDraw.Draw(picture).ellipse((x, 33, x + 24, 57), fill=(240, 180, 40))
    return picture


if __name__ == "__main__":
    frames = [frame(number) for number in range(12)]
    path = pathlib.Path(__file__).with_name("film.gif")
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80, loop=0)
