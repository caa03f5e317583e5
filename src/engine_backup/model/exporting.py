"""The forms that archives are converted to, and what becomes of each member on the way."""

from __future__ import annotations

from dataclasses import dataclass

from engine_backup.model.archive import MemberInfo
from engine_backup.model.presets import CLASSIC_LEVEL, FILES, NO_COMPRESSOR, ZSTD_LEVEL, Encoding, Packing


@dataclass(frozen=True)
class ExportForm:
    """How members are packed in one form; the outer tar is compressed in none.

    `files` and `dumps` say what they are packed with, unless their packing is one of those `…_kept`. Where
    pg_dump itself compressed a dump it stays as it is: only pg_dump could take that off.
    """

    name: str
    files: Packing
    files_kept: frozenset[str]
    dumps: Packing
    dumps_kept: frozenset[str]


# Stock runs the program that `config` names, and all releases since 3.6 require these three (reference
# 4.2). Unpacked dumps of ours are of the custom format without compression of their own, and stay so:
# pg_restore cannot write that format.
CLASSIC = ExportForm(
    "classic",
    files=FILES,
    files_kept=frozenset({"gzip", "bzip2", "xz"}),
    dumps=Packing("gzip", CLASSIC_LEVEL),
    dumps_kept=frozenset({"gzip", "bzip2", "xz"}),
)
NATIVE = ExportForm(
    "native",
    files=FILES,
    files_kept=frozenset({"xz"}),
    dumps=Packing("zstd", ZSTD_LEVEL, workers=1),
    dumps_kept=frozenset({"zstd"}),
)

EXPORT_FORMS: dict[str, ExportForm] = {form.name: form for form in (CLASSIC, NATIVE)}


@dataclass(frozen=True)
class DumpShape:
    """A dump in the archive that is converted; `own_compression`: pg_dump compressed what is in it."""

    component_name: str
    member: str
    dump_format: str
    compressor: str
    own_compression: bool


@dataclass(frozen=True)
class ExportFacts:
    """What decides about an export. `files_compressor` is None where files are no inner tar."""

    members: tuple[MemberInfo, ...]
    dumps: tuple[DumpShape, ...]
    files_compressor: str | None


@dataclass(frozen=True)
class Conversion:
    """What becomes of one member.

    `source` and `target` are its names in both archives. `packing` None: the stored bytes are copied, and
    `compressor` says what is around them already. `keeps_owner`: its owner and mode are part of what it is.
    """

    source: str
    target: str
    component_name: str = ""
    dump_format: str = ""
    compressor: str = NO_COMPRESSOR
    packing: Packing | None = None
    keeps_owner: bool = False

    @property
    def target_compressor(self) -> str:
        """The compressor around the member in the new archive."""
        return self.compressor if self.packing is None else self.packing.compressor

    @property
    def in_frames(self) -> bool:
        """Whether it is packed so that its tables can be unpacked one by one."""
        return self.packing is not None and Encoding(self.dump_format, self.packing).in_frames
