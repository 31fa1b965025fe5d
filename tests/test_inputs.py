"""A user's own files: read as they are meant, or refused by name."""

import io
import warnings
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFile

from labelnoise.cleaning import inputs, tables
from labelnoise.cleaning.pictures import picture


def written(folder: Path, images: np.ndarray, labels) -> tuple[Path, Path]:
    """``photos/`` and ``labels.csv`` below ``folder``."""
    (folder / "photos").mkdir()
    files = [f"{i:02}.png" for i in range(len(images))]
    for name, image in zip(files, images, strict=True):
        Image.fromarray(image.squeeze()).save(folder / "photos" / name)
    pd.DataFrame({"file": files, "label": labels}).to_csv(folder / "labels.csv", index=False)
    return folder / "photos", folder / "labels.csv"


@pytest.fixture
def folder(tmp_path, digits):
    """60 images in a folder, and their labels in a table."""
    return written(tmp_path, digits[0][:60], [f"digit {label % 2}" for label in digits[2][:60]])


# --------------------------------------------------------------------------- the pictures


def test_images_of_any_shape_keep_their_labels_in_the_order_of_the_table(folder, digits, tmp_path):
    images, labels, files = inputs.load(*map(str, folder))
    assert np.array_equal(images, digits[0][:60])
    assert labels[0] == f"digit {digits[2][0] % 2}"
    (tmp_path / "colour").mkdir()
    made = np.random.default_rng(0).integers(256, size=(3, 4, 6, 3), dtype=np.uint8)
    photos, table = written(tmp_path / "colour", made, "xyz")
    table.write_text("label,file\nz,02.png\nx,00.png\ny,01.png\n")
    images, labels, files = inputs.load(photos, table)
    assert np.array_equal(images, made[[2, 0, 1]].transpose(0, 3, 1, 2))
    assert (labels.tolist(), files) == (["z", "x", "y"], ["02.png", "00.png", "01.png"])


def test_one_coloured_image_makes_all_of_them_three_channels(folder):
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(folder[0] / "03.png")
    images, _, _ = inputs.load(*folder)
    assert images.shape == (60, 3, 8, 8)
    assert np.array_equal(images[5, 0], images[5, 2])
    assert (images[3] == 7).all()


def test_a_photo_taken_sideways_is_turned_upright(folder):
    upright = np.zeros((8, 8), np.uint8)
    upright[0] = 200
    sideways, tag = Image.fromarray(np.rot90(upright)), Image.Exif()
    tag[0x0112] = 6  # to be turned a quarter to the right
    sideways.save(folder[0] / "03.png", exif=tag)
    assert np.array_equal(inputs.load(*folder)[0][3, 0], upright)


def test_what_is_transparent_shows_white(folder):
    """Black ink whose shape is in the alpha channel alone; and half of it, grey with alpha."""
    ink = np.zeros((8, 8, 4), np.uint8)
    ink[2:5, 2:5, 3] = 255
    Image.fromarray(ink).save(folder[0] / "03.png")
    half = np.stack([np.full((8, 8), 100), np.full((8, 8), 255)], axis=2).astype(np.uint8)
    half[0, 0, 1] = 0
    Image.fromarray(half).save(folder[0] / "04.png")
    images, _, _ = inputs.load(*folder)
    assert (images[3, :, 2:5, 2:5] == 0).all()
    assert images[3].sum() == 3 * (64 - 9) * 255
    assert (images[4, :, 0, 0] == 255).all()
    assert (images[4, :, 1:] == 100).all()


def test_grey_with_alpha_stays_one_channel(tmp_path):
    Image.new("LA", (3, 2), (100, 255)).save(tmp_path / "a.png")
    assert np.array_equal(picture(tmp_path / "a.png"), np.full((1, 2, 3), 100))


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_images_of_more_than_8_bits_are_refused(tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "deep.tif")
    with pytest.raises(ValueError, match=r"deep.tif has more than 8 bits .* convert to 8 bit"):
        picture(tmp_path / "deep.tif")


def test_classes_may_be_called_na(folder):
    folder[1].write_text("file,label\n" + "".join(
        f"{i:02}.png,{['NA', 'None', 'null'][i % 3]}\n" for i in range(60)
    ))  # fmt: skip
    assert inputs.load(*folder)[1][:3].tolist() == ["NA", "None", "null"]


def test_what_else_lies_in_the_folder_does_not_block(folder):
    """Hidden files, the table itself, and the list of an earlier run; ./ before a name."""
    photos, table = folder
    (photos / ".DS_Store").write_bytes(b"x")
    (photos / ".thumbnails").mkdir()
    (photos / ".thumbnails" / "a.png").write_bytes(b"x")
    (photos / "suspects.csv").write_text("file,label\n")
    inside = photos / "labels.txt"
    inside.write_text(table.read_text().replace("00.png", "./00.png"))
    images, _, files = inputs.load(photos, inside)
    assert len(images) == 60
    assert files[0] == "./00.png"


# ------------------------------------------------------------------- sizes, damage, hostility


def test_photos_of_unequal_size_are_cut_around_their_centre_and_not_stretched(folder):
    """A circle stays one: left and right of it are cut off, and what is turned is cut as turned."""
    wide = np.zeros((40, 100), np.uint8)
    y, x = np.mgrid[:40, :100]
    wide[(y - 19.5) ** 2 + (x - 49.5) ** 2 < 225] = 200
    wide[:, :20] = 255
    Image.fromarray(wide).save(folder[0] / "03.png")
    tag = Image.Exif()
    tag[0x0112] = 6
    Image.fromarray(np.rot90(wide)).save(folder[0] / "04.png", exif=tag)
    images = inputs.load(*folder, size=20)[0]
    assert images.shape == (60, 1, 20, 20)
    inked = images[3, 0] > 100
    assert abs(int(inked.any(axis=0).sum()) - int(inked.any(axis=1).sum())) <= 1
    assert images[3].max() < 230, "the white margin is cut off"
    assert np.array_equal(images[3], images[4])
    assert inputs.load(*folder, size=(10, 16))[0].shape[2:] == (10, 16)
    with pytest.raises(ValueError, match=r"03.png has 40 x 100 pixels, 00.png 8 x 8: .* --size"):
        inputs.load(*folder)
    with pytest.raises(ValueError, match="size=0"):
        inputs.load(*folder, size=0)


def test_a_large_jpeg_is_cut_alike_however_much_of_it_is_decoded(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 640).astype(np.uint8), (480, 1))
    Image.fromarray(ramp).save(tmp_path / "a.jpg", quality=95)
    found = picture(tmp_path / "a.jpg", (24, 24))[0].astype(int)
    middle = ramp[0, 80:560].reshape(24, 20).mean(axis=1)
    assert np.abs(found - middle).max() <= 3


def seeds_of_the_fuzz() -> dict[str, bytes]:
    """A small picture of each kind."""
    pixels = np.random.default_rng(0).integers(256, size=(9, 11, 4), dtype=np.uint8)
    colour, found = Image.fromarray(pixels[..., :3]), {}
    for kind, image, options in (
        ("png", Image.fromarray(pixels), {}), ("jpg", colour, {}), ("gif", colour, {}),
        ("bmp", colour, {}), ("webp", colour, {}), ("ppm", colour, {}), ("jp2", colour, {}),
        ("tif", colour, {"compression": "tiff_lzw"}), ("tiff", colour, {}),
    ):  # fmt: skip
        buffer = io.BytesIO()
        image.save(buffer, {"jpg": "jpeg", "jp2": "jpeg2000", "tif": "tiff"}.get(kind, kind),
                   **options)  # fmt: skip
        found[kind] = buffer.getvalue()
    return found


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """The bytes with some changed, lost, doubled, or set to what overflows."""
    found = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(found)))
        match rng.integers(5):
            case 0:
                found[at] = rng.integers(256)
            case 1:
                del found[at : at + int(rng.integers(1, 40))]
            case 2:
                found[at:at] = found[at : at + int(rng.integers(1, 40))]
            case 3:
                found[at : at + 4] = rng.choice([b"\xff" * 4, b"\x7f" + b"\xff" * 3, bytes(4)])
            case 4:
                at = min(at, 64)  # in the header
                found[at] ^= 1 << int(rng.integers(8))
        if not found:
            return b""
    return bytes(found)


def nameless(folder: Path, n: int, seed: int) -> list[str]:
    """What reading ``n`` mutated pictures raised that was no ``ValueError`` with the file's name,
    or warned of."""
    rng, originals, found = np.random.default_rng(seed), [*seeds_of_the_fuzz().items()], []
    for i in range(n):
        kind, content = originals[i % len(originals)]
        path = folder / f"fuzz-{i}.{kind}"
        path.write_bytes(mutated(content, rng))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                pixels = picture(path, [None, 8][i % 2])
            assert pixels.dtype == np.uint8
            assert pixels.shape[0] in (1, 3)
        except Exception as error:
            if type(error) is not ValueError or path.name not in str(error):
                found.append(f"{path.name}: {error!r}")
        path.unlink()
    return found


def test_every_damaged_picture_is_read_or_refused_by_name(tmp_path):
    assert not nameless(tmp_path, 450, seed=0)


@pytest.mark.parametrize("error", [MemoryError(), OverflowError("x"), EOFError(), KeyError("x"),
                                   RecursionError(), ValueError("no name")])  # fmt: skip
def test_whatever_a_decoder_raises_names_the_file(folder, error, monkeypatch):
    def raised(*_):
        raise error

    monkeypatch.setattr(ImageFile.ImageFile, "load", raised)
    with pytest.raises(ValueError, match=r"00.png is damaged, or no picture .*: \S"):
        inputs.load(*folder)


def test_a_picture_of_too_many_pixels_is_refused_before_they_are_decoded(folder):
    content = bytearray((folder[0] / "03.png").read_bytes())
    for side in (60_000, 10_000):  # an error for Pillow, and a warning
        content[16:24] = 2 * side.to_bytes(4, "big")
        content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
        (folder[0] / "03.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"03.png has more than [\d,]+ pixels: make"):
            inputs.load(*folder)


def test_a_picture_that_starts_programs_is_none(tmp_path):
    """Pillow hands EPS to Ghostscript."""
    Image.new("L", (8, 8)).save(tmp_path / "a.eps")
    (tmp_path / "a.eps").rename(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a.png is damaged, or no picture"):
        picture(tmp_path / "a.png")


# ------------------------------------------------------------------------------- tables


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_are_found_and_spaces_stripped(tmp_path, separator):
    table = tmp_path / "labels.csv"
    lines = [["file", " label ", "note"], ["a.png", "three ", "x"], ['"b,;.png"', "Six", ""],
             ["", "", ""], ["c.png", "  ", "y"], ["d.png"]]  # fmt: skip
    table.write_text("\n".join(separator.join(line) for line in lines))
    found = [(row.line, row.file, row.label) for row in tables.rows(table)]
    assert found == [(2, "a.png", "three"), (3, "b,;.png", "Six"), (5, "c.png", ""),
                     (6, "d.png", "")]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('file,label\na.png,x\nb.png,"cat\nc.png,y\n', "line 3: unexpected end of data; .* quote"),
        ('file,label\na.png,"x\nb.png,y"\n', "line 2: a cell goes on in the next line"),
        ('file,label\na.png,"' + 200_000 * "x" + "\n", "line 2: field larger .* quote"),
        ("file,label\na.png,cats, dogs\n", "line 2 has 3 cells and the header 2"),
        ("image,class\na.png,x\n", "columns are image, class; .*--file-column 'image' "
                                   "--label-column 'class'"),
        ("file,kind,x\na.png,x,y\n", "columns are file, kind, x; name them by --file-column"),
        ("a.png,x\nb.png,\x00\n", "line 2: |columns are a.png, x"),
    ],
)  # fmt: skip
def test_a_broken_table_is_refused_with_its_line(tmp_path, text, named):
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(ValueError, match=named):
        tables.rows(tmp_path / "labels.csv")


def test_other_names_of_the_columns_can_be_given(folder):
    text = folder[1].read_text().replace("file,label", "image;class").replace(",", ";")
    folder[1].write_text(text)
    assert len(inputs.load(*folder, file_column="image", label_column="class")[0]) == 60


def test_classes_that_differ_in_case_or_spaces_are_told_of_and_kept_apart(folder):
    text = folder[1].read_text().replace("05.png,digit 1", "05.png,Digit1")
    folder[1].write_text(text)
    with pytest.warns(UserWarning, match=r"'Digit1' \(1\) and 'digit 1' \(\d+\)"):
        labels = inputs.load(*folder)[1]
    assert set(labels) == {"digit 0", "digit 1", "Digit1"}


def test_files_are_found_as_tables_write_them(folder, tmp_path, monkeypatch):
    """From the folder, with its name, from where one is, absolute, from Windows, composed."""
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (folder[0] / "09.png").rename(folder[0] / "é.png")
    names = ["./00.png", "photos/01.png", "../photos/02.png", str(folder[0] / "03.png"),
             "photos\\04.png", "e\u0301.png"]  # fmt: skip
    folder[1].write_text("file,label\n" + "".join(f"{n},{i % 2}\n" for i, n in enumerate(names)))
    found = inputs.pictures(*folder)
    assert [path.name for path in found.paths] == [*(f"{i:02}.png" for i in range(5)), "é.png"]
    folder[1].write_text("file,label\n00.png,a\nphotos/00.png,b\n")
    with pytest.raises(ValueError, match=r"names 00.png twice, in lines 2 and 3"):
        inputs.load(*folder)
    Image.new("L", (8, 8)).save(tmp_path / "outside.png")
    folder[1].write_text("file,label\n../outside.png,a\n")
    with pytest.raises(ValueError, match=r"in .*labels.csv but not in .*outside.png in line 2"):
        inputs.load(*folder)


def test_rows_without_a_label_and_files_without_a_row_are_told_of(folder):
    text = folder[1].read_text().replace("07.png,digit 1", "07.png, ").splitlines()
    folder[1].write_text("\n".join(text[:-4]))
    found = inputs.pictures(*folder)
    assert "4 files (56.png, 57.png, 58.png, ...)" in found.notes[0]
    assert found.notes[1].startswith("1 rows of ")
    assert (len(found.X), found.labelled.sum(), found.labels[7]) == (56, 55, "")
    with pytest.warns(UserWarning, match="rows|row") as told:
        images, labels, files = inputs.load(*folder)
    assert [str(warning.message) for warning in told] == [*found.notes]
    assert len(images) == len(labels) == len(files) == 55
    folder[1].write_text("file,label\n00.png,\n01.png\n")
    with pytest.raises(ValueError, match="no label in any of its 2 rows"):
        inputs.load(*folder)


# ------------------------------------------------------------------------ folders, arrays


def test_a_folder_for_each_class_needs_no_table(tmp_path):
    for name in ("emu/b.png", "cat/2/c.PNG", "cat/a.png", "top.png", "emu/notes.txt",
                 ".hidden/x.png", "suspects.npz"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / name).open("wb") as file:
            Image.new("L", (4, 4), len(name)).save(file, "png")
    (tmp_path / "yak").mkdir()
    found = inputs.pictures(tmp_path)
    assert found.files == ["cat/2/c.PNG", "cat/a.png", "emu/b.png"]
    assert found.labels.tolist() == ["cat", "cat", "emu"]
    assert found.X[:, 0, 0, 0].tolist() == [len(name) for name in found.files]
    assert "2 files (emu/notes.txt, top.png)" in found.notes[0]
    assert "in the folder yak" in found.notes[1]


def test_a_folder_that_holds_no_classes_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no folders, and no table"):
        inputs.load(tmp_path)
    (tmp_path / "train" / "cat").mkdir(parents=True)
    (tmp_path / "val").mkdir()
    with pytest.raises(ValueError, match="holds only train and val"):
        inputs.load(tmp_path)
    with pytest.raises(ValueError, match="no pictures in the folders cat"):
        inputs.load(tmp_path / "train")


def test_features_come_with_a_table_that_needs_no_files(tmp_path):
    X = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float16)
    array, table = tmp_path / "x.npy", tmp_path / "labels.csv"
    np.save(array, X)
    table.write_text("label\na\nb\n\nc\nd\n")
    found = inputs.arrays(array, table)
    assert np.array_equal(found.X, X)
    assert (found.labels.tolist(), found.files) == ([*"abcd"], None)
    table.write_text("label\na\nb\nc\n")
    with pytest.raises(ValueError, match=r"x.npy has 4 rows and .*labels.csv 3"):
        inputs.arrays(array, table)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (np.array([[1.0], [np.nan]]), "1 rows that are not finite .* index 1"),
        (np.array([1.0, 2.0]), r"it holds float64 \(2,\)"),
        (np.zeros((2, 4, 4)), r"it holds float64 \(2, 4, 4\)"),
        (np.array([["a"], ["b"]]), "it holds <U1"),
        (np.array([[None], [len]]), "x.npy is damaged, or no array"),
        (b"no array", "x.npy is damaged, or no array"),
        (b"PK\x03\x04", "x.npy is damaged, or no array"),
    ],
)
def test_what_is_no_array_of_features_is_refused(tmp_path, content, named):
    path, table = tmp_path / "x.npy", tmp_path / "labels.csv"
    table.write_text("label\na\nb\n")
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content)
    with pytest.raises(ValueError, match=named):
        inputs.arrays(path, table)
    huge = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        huge, {"descr": "<f8", "fortran_order": False, "shape": (10**12, 4)}
    )
    path.write_bytes(huge.getvalue())
    with pytest.raises(ValueError, match=r"x.npy is damaged, or no array"):
        inputs.arrays(path, table)
