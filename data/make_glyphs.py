"""Make data/embedded/glyphs_*: letters of many scripts, twenty renderings of each, from openly licensed fonts.

    python data/make_glyphs.py --packages FOLDER [--into FOLDER]

`--packages` is a folder with the Debian packages that PACKAGES names (`apt-get download` fetches them); both hold the
Noto fonts, under the SIL Open Font License 1.1, which leaves what is rendered with them free.

The rules, in their order:

* A script takes part if its families in FAMILIES have four faces or more (weights, widths, serif and sans). Scripts go
  by name; of every eight the fourth and the last are for testing, the sixth for validation, the others for training.
* Its letters are the code points of a letter category that every face has, without those that Unicode composes of
  others. Of more than LETTERS, as many are taken at even distances.
* A letter that looks like an earlier one of any script (correlation above ALIKE, both in their first face) is left out,
  so that Latin A is no other class than Greek or Cyrillic A. In other faces some letters still look like letters of
  another split, such as Cherokee and Greek T; `few_shot.unlike` leaves them out.
* Rendering i of a letter is in face number i · faces // 20, scaled to its bounding box, then turned, sheared, stretched
  and shifted a little at random: with few faces the renderings differ by this alone. 28 x 28, ink on paper 0, in
  LEVELS greys.

Another FreeType may place a pixel otherwise; datasets.yaml has the checksums of the pixels that ship.
"""

import argparse
import hashlib
import io
import os
import sys
import tarfile
import unicodedata
from pathlib import Path
from typing import BinaryIO

import numpy as np
from fontTools.ttLib import TTFont
from fontTools.unicodedata import script as script_of
from make_embedded import packed
from PIL import Image, ImageFont

from deepphenomena.datasets import catalogue
from deepphenomena.runtime import paths

PACKAGES = ("fonts-noto-core_*.deb", "fonts-noto-extra_*.deb")
FAMILIES = {
    "Arabic": ("Arab", "NotoSansArabic", "NotoKufiArabic", "NotoNaskhArabic"),
    "Armenian": ("Armn", "NotoSansArmenian", "NotoSerifArmenian"),
    "Balinese": ("Bali", "NotoSansBalinese", "NotoSerifBalinese"),
    "Bamum": ("Bamu", "NotoSansBamum"),
    "Bengali": ("Beng", "NotoSansBengali", "NotoSerifBengali"),
    "Canadian Aboriginal": ("Cans", "NotoSansCanadianAboriginal"),
    "Cham": ("Cham", "NotoSansCham"),
    "Cherokee": ("Cher", "NotoSansCherokee"),
    "Cyrillic": ("Cyrl", "NotoSans", "NotoSerif"),
    "Devanagari": ("Deva", "NotoSansDevanagari", "NotoSerifDevanagari"),
    "Ethiopic": ("Ethi", "NotoSansEthiopic", "NotoSerifEthiopic"),
    "Georgian": ("Geor", "NotoSansGeorgian", "NotoSerifGeorgian"),
    "Greek": ("Grek", "NotoSans", "NotoSerif"),
    "Gujarati": ("Gujr", "NotoSansGujarati", "NotoSerifGujarati"),
    "Gurmukhi": ("Guru", "NotoSansGurmukhi", "NotoSerifGurmukhi"),
    "Hanifi Rohingya": ("Rohg", "NotoSansHanifiRohingya"),
    "Hebrew": ("Hebr", "NotoSansHebrew", "NotoSerifHebrew", "NotoRashiHebrew"),
    "Kannada": ("Knda", "NotoSansKannada", "NotoSerifKannada"),
    "Kayah Li": ("Kali", "NotoSansKayahLi"),
    "Khmer": ("Khmr", "NotoSansKhmer", "NotoSerifKhmer"),
    "Lao": ("Laoo", "NotoSansLao", "NotoSerifLao", "NotoLoopedLao"),
    "Latin": ("Latn", "NotoSans", "NotoSerif"),
    "Lisu": ("Lisu", "NotoSansLisu"),
    "Malayalam": ("Mlym", "NotoSansMalayalam", "NotoSerifMalayalam"),
    "Medefaidrin": ("Medf", "NotoSansMedefaidrin"),
    "Meetei Mayek": ("Mtei", "NotoSansMeeteiMayek"),
    "Myanmar": ("Mymr", "NotoSansMyanmar", "NotoSerifMyanmar"),
    "Nyiakeng Puachue Hmong": ("Hmnp", "NotoSerifNyiakengPuachueHmong"),
    "Ol Chiki": ("Olck", "NotoSansOlChiki"),
    "Oriya": ("Orya", "NotoSansOriya"),
    "Sinhala": ("Sinh", "NotoSansSinhala", "NotoSerifSinhala"),
    "Sora Sompeng": ("Sora", "NotoSansSoraSompeng"),
    "Sundanese": ("Sund", "NotoSansSundanese"),
    "Tai Tham": ("Lana", "NotoSansTaiTham"),
    "Tamil": ("Taml", "NotoSansTamil", "NotoSerifTamil"),
    "Telugu": ("Telu", "NotoSansTelugu", "NotoSerifTelugu"),
    "Thaana": ("Thaa", "NotoSansThaana"),
    "Thai": ("Thai", "NotoSansThai", "NotoSerifThai", "NotoLoopedThai"),
    "Tibetan": ("Tibt", "NotoSerifTibetan"),
    "Yezidi": ("Yezi", "NotoSerifYezidi"),
}
LETTERS, RENDERINGS, SIDE, LEVELS, ALIKE = 60, 20, 28, 8, 0.9
FINE = 4 * SIDE  # drawn four times as large, then averaged


def unpacked(folder: Path) -> dict[str, bytes]:
    """Every upright face in the packages, by the name of its file."""
    faces = {}
    for pattern in PACKAGES:
        found = sorted(folder.glob(pattern))
        if not found:
            raise SystemExit(f"no {pattern} in {folder}; fetch it there with: apt-get download {pattern.split('_')[0]}")
        with tarfile.open(fileobj=package_files(found[-1])) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".ttf") and "Italic" not in member.name:
                    faces[Path(member.name).stem] = archive.extractfile(member).read()
    return faces


def package_files(package: Path) -> BinaryIO:
    """The tar archive of the files in a Debian package, which is an `ar` archive with 60-byte member headers."""
    with package.open("rb") as stream:
        if stream.read(8) != b"!<arch>\n":
            raise SystemExit(f"{package} is not a Debian package; fetch it again")
        while header := stream.read(60):
            name, size = header[:16], int(header[48:58])
            if name.startswith(b"data.tar"):
                return io.BytesIO(stream.read(size))
            stream.seek(size + size % 2, io.SEEK_CUR)
    raise SystemExit(f"{package} holds no data.tar; fetch it again")


def letters(code: str, faces: list[bytes]) -> list[str]:
    """The script's letters that every face has, at most LETTERS of them."""
    maps = [TTFont(io.BytesIO(face), lazy=True).getBestCmap() for face in faces]
    shared = sorted(set.intersection(*(set(codes) for codes in maps)))
    own = [
        chr(point)
        for point in shared
        if script_of(chr(point)) == code
        and unicodedata.category(chr(point)) in ("Lu", "Ll", "Lo")
        and not unicodedata.decomposition(chr(point))
    ]
    return own if len(own) <= LETTERS else [own[i * len(own) // LETTERS] for i in range(LETTERS)]


def drawn(letter: str, face: ImageFont.FreeTypeFont, generator: np.random.Generator | None) -> np.ndarray:
    """One rendering, (28, 28) bytes; without a generator it is straight and centred."""
    mask = face.getmask(letter, mode="L")
    if 0 in mask.size:
        return np.zeros((SIDE, SIDE), np.uint8)
    glyph = Image.frombytes("L", mask.size, bytes(mask))
    angle, shear, stretch, size, *shift = np.zeros(6) if generator is None else generator.uniform(-1, 1, 6)
    turn = np.deg2rad(10 * angle)
    shape = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, 0.15 * shear], [0, 1]]
    shape = shape @ np.diag([np.exp(0.1 * stretch), np.exp(-0.1 * stretch)])
    shape = shape * 0.75 * FINE / max(glyph.size) * np.exp(0.1 * size)
    back = np.linalg.inv(shape)  # Pillow asks where in the glyph a pixel of the picture comes from
    origin = np.array(glyph.size) / 2 - back @ (FINE / 2 + 0.05 * FINE * np.array(shift))
    row = [back[0, 0], back[0, 1], origin[0], back[1, 0], back[1, 1], origin[1]]
    picture = glyph.transform((FINE, FINE), Image.Transform.AFFINE, row, Image.Resampling.BILINEAR).reduce(4)
    return (np.rint(np.asarray(picture) * ((LEVELS - 1) / 255)) * (255 / (LEVELS - 1))).round().astype(np.uint8)


def rendered(letter: str, faces: list[ImageFont.FreeTypeFont]) -> np.ndarray:
    """All renderings of a letter; the random numbers depend on the letter alone."""
    generator = np.random.default_rng(ord(letter))
    return np.stack([drawn(letter, faces[i * len(faces) // RENDERINGS], generator) for i in range(RENDERINGS)])


def classes(faces: dict[str, bytes]) -> dict[str, dict[str, np.ndarray]]:
    """The renderings of every class, by split and by name (script/code point and letter)."""
    splits: dict[str, dict[str, np.ndarray]] = {"train": {}, "validation": {}, "test": {}}
    seen: list[np.ndarray] = []
    for number, (script, (code, *families)) in enumerate(sorted(FAMILIES.items())):
        split = {3: "test", 5: "validation", 7: "test"}.get(number % 8, "train")
        own = [content for name, content in sorted(faces.items()) if name.rpartition("-")[0] in families]
        if len(own) < 4:
            raise SystemExit(f"{script} has {len(own)} faces in the packages, and needs four; correct FAMILIES")
        fonts = [ImageFont.truetype(io.BytesIO(face), FINE, layout_engine=ImageFont.Layout.BASIC) for face in own]
        for letter in letters(code, own):
            plain = drawn(letter, fonts[0], None).ravel().astype(np.float64)
            plain -= plain.mean()
            length = np.linalg.norm(plain)
            if length == 0 or (seen and np.max(np.stack(seen) @ (plain / length)) > ALIKE):
                continue
            seen.append(plain / length)
            splits[split][f"{script}/U+{ord(letter):04X} {letter}"] = rendered(letter, fonts)
    # Rows of 100 images: a number of classes that five does not divide loses its last ones.
    return {split: dict(list(named.items())[: len(named) // 5 * 5]) for split, named in splits.items()}


def write(file: Path, content: bytes) -> None:
    beside = file.with_name(f".{file.name}")
    beside.write_bytes(content)
    os.replace(beside, file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, required=True, help="a folder with the Debian packages")
    parser.add_argument("--into", type=Path, default=paths.data() / "embedded", help="where to write")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    declared, as_declared = catalogue()["glyphs"], True
    for split, named in classes(unpacked(options.packages)).items():
        images = np.stack(list(named.values()), axis=1).reshape(-1, SIDE, SIDE, 1)  # the classes in turn
        content = packed(images)
        write(options.into / f"glyphs_{split}.webp", content)
        write(options.into / f"glyphs_{split}.txt", "".join(f"{name}\n" for name in named).encode())
        made = {f"glyphs_{split}.webp": hashlib.sha256(np.ascontiguousarray(images)).hexdigest()}
        scripts = len({name.partition("/")[0] for name in named})
        print(f"{split}: {len(named)} classes of {scripts} scripts, {len(images)} images, {len(content)} bytes")
        if (entry := declared.embedded.get(split)) is None or (entry.size, entry.files) != (len(images), made):
            as_declared = False
            print(f"glyphs, embedded, {split}: size {len(images)}, files {made}")
    if not as_declared:
        sys.exit("data/datasets.yaml declares other embedded files; write there what is printed above")


if __name__ == "__main__":
    main()
