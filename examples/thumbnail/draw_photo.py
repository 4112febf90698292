"""Draws photo.jpg: a mountain lake at dusk, the same every time. Run: python3 draw_photo.py [photo.jpg]"""

import math
import random
import sys

from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT = 1600, 1200
HORIZON = 720
SUN = (1080, 600)


def mix(a, b, t):
    return tuple(round(x + (y - x) * t) for x, y in zip(a, b))


def gradient(stops, height):
    """A vertical run of colours through (position, colour) stops."""
    column = Image.new("RGB", (1, height))
    for y in range(height):
        t = y / max(1, height - 1)
        for (t0, c0), (t1, c1) in zip(stops, stops[1:]):
            if t0 <= t <= t1:
                column.putpixel((0, y), mix(c0, c1, (t - t0) / (t1 - t0)))
                break
    return column.resize((WIDTH, height))


def ridge(rng, base, rough, octaves=8):
    """Heights of a mountain line by midpoint displacement."""
    points = [base + rng.uniform(-rough, rough), base + rng.uniform(-rough, rough)]
    for _ in range(octaves):
        rough *= 0.55
        finer = []
        for a, b in zip(points, points[1:]):
            finer += [a, (a + b) / 2 + rng.uniform(-rough, rough)]
        points = finer + points[-1:]
    step = WIDTH / (len(points) - 1)
    return [(i * step, y) for i, y in enumerate(points)]


def glow(size, centre, radius, colour):
    """Light around a point, added to what is there."""
    small = Image.new("RGB", (size[0] // 8, size[1] // 8))
    pixels = small.load()
    for y in range(small.height):
        for x in range(small.width):
            far = math.hypot(x * 8 - centre[0], (y * 8 - centre[1]) * 1.15) / radius
            pixels[x, y] = tuple(round(part * math.exp(-far * 2.2)) for part in colour)
    return small.resize(size, Image.Resampling.BICUBIC)


def clouds(rng):
    """Long soft clouds, lit from below."""
    layer = Image.new("L", (WIDTH, HORIZON))
    draw = ImageDraw.Draw(layer)
    for _ in range(26):
        x, y = rng.uniform(-200, WIDTH), rng.uniform(60, 470)
        for _ in range(14):
            w, h = rng.uniform(60, 300), rng.uniform(3, 16)
            dx, dy = rng.gauss(0, 170), rng.gauss(0, 13)
            draw.ellipse((x + dx - w, y + dy - h, x + dx + w, y + dy + h), fill=rng.randint(40, 150))
    return layer.filter(ImageFilter.GaussianBlur(9))


def mountains(scene, rng):
    """Ranges, each nearer one darker and sharper."""
    ranges = [
        (470, 130, (146, 132, 160), 2.2),
        (560, 110, (104, 98, 134), 1.4),
        (640, 80, (62, 66, 98), 0.8),
    ]
    for base, rough, colour, blur in ranges:
        line = ridge(rng, base, rough)
        mask = Image.new("L", (WIDTH, HORIZON))
        ImageDraw.Draw(mask).polygon([(0, HORIZON), *line, (WIDTH, HORIZON)], fill=255)
        paint = gradient([(0, mix(colour, (255, 214, 190), 0.12)), (1, mix(colour, (210, 160, 150), 0.30))], HORIZON)
        scene.paste(paint, (0, 0), mask.filter(ImageFilter.GaussianBlur(blur)))
        if base < 600:
            snow(scene, rng, line)


def snow(scene, rng, line):
    mask = Image.new("L", (WIDTH, HORIZON))
    draw = ImageDraw.Draw(mask)
    for x, y in line:
        if y < 450:
            deep = (450 - y) * rng.uniform(0.2, 0.9)
            draw.line((x, y + 2, x - deep * 0.35, y + deep), fill=rng.randint(60, 170), width=5)
    white = Image.new("RGB", (WIDTH, HORIZON), (255, 232, 226))
    scene.paste(white, (0, 0), mask.filter(ImageFilter.GaussianBlur(1.6)))


def trees(draw, rng, ground, tallest, colour, count):
    """Firs: stacked ragged triangles."""
    for x in sorted(rng.uniform(-20, WIDTH + 20) for _ in range(count)):
        tall = tallest * rng.uniform(0.45, 1)
        foot = ground(x)
        shade = mix(colour, (0, 0, 0), rng.uniform(0, 0.4))
        for tier in range(7):
            top = foot - tall + tier * tall / 8
            wide = tall * 0.055 * (tier + 1.3) * rng.uniform(0.8, 1.15)
            draw.polygon([(x, top), (x - wide, top + tall / 4.2), (x + wide, top + tall / 4.2)], fill=shade)
        draw.line((x, foot - tall / 6, x, foot), fill=mix(shade, (0, 0, 0), 0.3), width=max(2, round(tall / 40)))


def lake(scene, rng):
    """The upper half mirrored, broken by waves that widen towards us."""
    mirrored = scene.crop((0, 0, WIDTH, HORIZON)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    water = Image.new("RGB", (WIDTH, HEIGHT - HORIZON))
    for y in range(water.height):
        near = y / water.height
        shift = round(math.sin(y * 0.9 / (1 + near * 4)) * (2 + 12 * near) + rng.gauss(0, 1.2))
        row = mirrored.crop((0, min(HORIZON - 1, round(y * 1.35)), WIDTH, min(HORIZON, round(y * 1.35) + 1)))
        water.paste(ImageChops.offset(row, shift, 0), (0, y))
    tint = gradient([(0, (96, 92, 122)), (1, (18, 30, 52))], water.height)
    water = Image.blend(water, tint, 0.38)
    draw = ImageDraw.Draw(water)
    for _ in range(900):
        y = rng.uniform(0, 1) ** 1.6 * water.height
        near = y / water.height
        x = rng.gauss(SUN[0], 60 + 230 * near)
        long = rng.uniform(4, 14 + 46 * near)
        draw.line((x - long, y, x + long, y), fill=mix((255, 196, 140), (250, 228, 196), rng.random()), width=1)
    scene.paste(water.filter(ImageFilter.GaussianBlur(0.8)), (0, HORIZON))


def grain(scene, rng):
    """What a sensor adds, and the darker corners of a lens."""
    noise = Image.frombytes("L", (WIDTH // 2, HEIGHT // 2), rng.randbytes(WIDTH * HEIGHT // 4))
    noise = noise.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).convert("RGB")
    scene = Image.blend(scene, ImageChops.overlay(scene, noise), 0.07)
    light = Image.new("L", (WIDTH // 8, HEIGHT // 8))
    for y in range(light.height):
        for x in range(light.width):
            far = math.hypot(x / light.width - 0.5, y / light.height - 0.5)
            light.putpixel((x, y), round(255 * (1 - 0.55 * max(0, far - 0.25))))
    light = light.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
    return ImageChops.multiply(scene, light.convert("RGB"))


def draw_photo():
    rng = random.Random(20261121)
    scene = Image.new("RGB", (WIDTH, HEIGHT))
    sky = [(0, (38, 58, 110)), (0.4, (112, 110, 158)), (0.68, (226, 150, 132)), (0.85, (255, 196, 130)), (1, (255, 216, 160))]
    scene.paste(gradient(sky, HORIZON), (0, 0))
    lit = Image.new("RGB", (WIDTH, HORIZON), (255, 188, 164))
    scene.paste(lit, (0, 0), clouds(rng))
    upper = scene.crop((0, 0, WIDTH, HORIZON))
    upper = ImageChops.add(upper, glow((WIDTH, HORIZON), SUN, 520, (120, 84, 40)))
    disc = ImageDraw.Draw(upper)
    disc.ellipse((SUN[0] - 34, SUN[1] - 34, SUN[0] + 34, SUN[1] + 34), fill=(255, 244, 214))
    scene.paste(upper.filter(ImageFilter.GaussianBlur(1.2)), (0, 0))
    mountains(scene, rng)
    draw = ImageDraw.Draw(scene)
    trees(draw, rng, lambda x: HORIZON + 2, 62, (34, 44, 58), 190)
    lake(scene, rng)
    draw = ImageDraw.Draw(scene)

    def shore(x):
        return 1150 - 90 * math.cos((x - 100) / 520) + 12 * math.sin(x / 60)

    draw.polygon([(0, HEIGHT), *((x, shore(x)) for x in range(0, WIDTH + 1, 8)), (WIDTH, HEIGHT)], fill=(14, 20, 24))
    trees(draw, rng, lambda x: shore(x) + 30, 330, (16, 26, 30), 15)
    for _ in range(2600):
        x = rng.uniform(0, WIDTH)
        foot = shore(x) + rng.uniform(-2, 90)
        draw.line((x, foot, x + rng.gauss(0, 6), foot - rng.uniform(8, 26)), fill=mix((20, 32, 30), (70, 74, 52), rng.random()))
    return grain(scene.filter(ImageFilter.GaussianBlur(0.6)), rng)


if __name__ == "__main__":
    target = sys.argv[1] if len(sys.argv) > 1 else "photo.jpg"
    draw_photo().save(target, "JPEG", quality=86, optimize=True, progressive=False)
