"""What was observed of the machine, of databases and of archives, before anything is decided."""

from __future__ import annotations

from dataclasses import dataclass

from engine_backup.model.secret import Secret


@dataclass(frozen=True)
class Credentials:
    """How to log in to one database; `source` says where this stands (a path or an option)."""

    host: str
    port: int
    user: str
    password: Secret
    database: str
    secured: bool = False
    secured_validation: bool = False
    source: str = ""

    @property
    def address(self) -> str:
        """`host:port/database`, for people."""
        return f"{self.host}:{self.port}/{self.database}"
