"""How archives, files and dumps are packed: one row for each preset (design section 3)."""

from __future__ import annotations

from dataclasses import dataclass

NO_COMPRESSOR = ""
CUSTOM, PLAIN = "custom", "plain"
ZSTD = "zstd"
DUMP_FORMATS: tuple[str, ...] = (PLAIN, CUSTOM)

# What `--*-compressor=` takes (reference 10.1), and zstd, which stock runs where the program is installed.
COMPRESSOR_WORDS: dict[str, str] = {
    "gzip": "gzip",
    "bzip2": "bzip2",
    "xz": "xz",
    "zstd": ZSTD,
    "None": NO_COMPRESSOR,
}


@dataclass(frozen=True)
class Packing:
    """A compressor ("" for none), its level (None: that compressor's usual one), and its threads.

    `workers` 0: it works in the thread that feeds it. More pays only for slow levels of zstd: at low ones
    pg_dump is what is waited for.
    """

    compressor: str
    level: int | None = None
    workers: int = 0


@dataclass(frozen=True)
class Encoding:
    """How one database is written.

    `own_level` is pg_dump's `--compress` inside a custom dump: 0 whenever
    another compressor is wrapped around it, so that there is one layer only.
    """

    dump_format: str
    packing: Packing
    own_level: int = 0

    @property
    def in_frames(self) -> bool:
        """Whether it is packed so that its tables can be unpacked one by one."""
        return self.dump_format == CUSTOM and self.packing.compressor == ZSTD


@dataclass(frozen=True)
class Preset:
    """The packing of the whole archive, of the files, and of each database."""

    name: str
    archive: Packing
    files: Packing
    dump: Encoding


# Level 1 of pg_dump's own gzip: a fifth of the time of its default, 8 % larger.
CLASSIC_LEVEL = 1

# Tuned (see drivers/compressors), it makes least of engines' dumps at no cost that shows (docs/profiles.md).
ZSTD_LEVEL = 2
# Of trees like an engine's xz's level 2 makes 5 % more than its usual 6, three times as fast, and takes 17
# instead of 94 MB of memory.
XZ_FILES_LEVEL = 2
FILES = Packing("xz", XZ_FILES_LEVEL)

DEFAULT = Preset("default", Packing(NO_COMPRESSOR), FILES, Encoding(CUSTOM, Packing(ZSTD, ZSTD_LEVEL)))
CLASSIC = Preset(
    "classic",
    Packing(NO_COMPRESSOR),
    FILES,
    Encoding(CUSTOM, Packing(NO_COMPRESSOR), CLASSIC_LEVEL),
)
FAST_BACKUP = Preset(
    "fast-backup", Packing(NO_COMPRESSOR), Packing("gzip", 1), Encoding(CUSTOM, Packing(ZSTD, 1))
)
FAST_RESTORE = Preset(
    "fast-restore",
    Packing(NO_COMPRESSOR),
    Packing("gzip"),
    Encoding(CUSTOM, Packing(NO_COMPRESSOR), CLASSIC_LEVEL),
)
SMALL_SIZE = Preset("small-size", Packing(NO_COMPRESSOR), Packing("xz", 6), Encoding(PLAIN, Packing("xz", 6)))

PRESETS: dict[str, Preset] = {p.name: p for p in (DEFAULT, CLASSIC, FAST_BACKUP, FAST_RESTORE, SMALL_SIZE)}


def encoding(preset: Preset, dump_format: str | None, compressor: str | None) -> Encoding:
    """Refine a preset by `--*-db-dump-format` and `--*-db-compressor` (None: as the preset says)."""
    if dump_format is None and compressor is None:
        return preset.dump
    chosen_format = dump_format or preset.dump.dump_format
    packing = preset.dump.packing if compressor is None else Packing(compressor)
    own_level = CLASSIC_LEVEL if chosen_format == CUSTOM and not packing.compressor else 0
    return Encoding(chosen_format, packing, own_level)
