"""Settings of one installation, read from the environment (and ``.env``); secrets live only here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, PrivateAttr, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from cio_activation.errors import ConfigError

_CUSTOMERIO_HOSTS = {
    "us": ("https://api.customer.io", "https://track.customer.io"),
    "eu": ("https://api-eu.customer.io", "https://track-eu.customer.io"),
}
_SIZE = r"(?i)^\d+(\.\d+)?\s*([KMGT](i?B)?|%)$"
DEFAULT_ACTIVATION = Path(__file__).parent.parent / "activation.yaml"


class Access(BaseSettings):
    """Credentials and address of one service; every address can be pointed at a stand-in or a proxy."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", hide_input_in_errors=True)

    def secret(self, name: str) -> str:
        """Return the secret setting ``name`` in clear; ConfigError names the missing environment variable."""
        value: SecretStr | None = getattr(self, name)
        if value is None or not value.get_secret_value().strip():
            raise ConfigError(f"{name.upper()} is not set; put it into the environment or into .env")
        return value.get_secret_value()


A = TypeVar("A", bound=Access)


class Settings(Access):
    """Where things are, and how to get into Customer.io; a destination's own settings are in its package."""

    _given: dict[type[Access], Access] = PrivateAttr(default_factory=dict)

    activation_home: Path = Path(".activation")
    activation_file: Path = DEFAULT_ACTIVATION
    activation_duckdb_memory: str | None = Field(default=None, pattern=_SIZE)
    """Most memory that DuckDB uses in one process, such as ``3GB`` or ``50%`` of the machine's; else 2.5 GiB."""
    journal_url: str | None = None

    customerio_app_api_key: SecretStr | None = None
    customerio_track_site_id: SecretStr | None = None
    customerio_track_api_key: SecretStr | None = None
    customerio_region: Literal["us", "eu"] = "us"
    customerio_app_url: str | None = None
    customerio_track_url: str | None = None
    customerio_webhook_signing_key: SecretStr | None = None
    customerio_webhook_signing_key_previous: SecretStr | None = None
    """Still good while the key is being changed."""
    customerio_journey_token: SecretStr | None = None
    """What journey webhook actions carry as ``Authorization: Bearer ...`` where their signature cannot be checked."""
    customerio_journey_token_previous: SecretStr | None = None

    dagster_webserver_url: str | None = None
    """Dagster's webserver: the receiver launches a run there as soon as a webhook came. Unset: the sensor does."""

    alert_url: SecretStr | None = None
    """Where failed runs and warnings are told: any address that takes a JSON POST (a chat tool's incoming webhook)."""
    alert_email_to: str | None = None
    """Who is told by e-mail; several with commas."""
    alert_email_from: str | None = None
    smtp_url: SecretStr | None = None
    """``smtp://user:password@host:587`` (STARTTLS where offered) or ``smtps://...`` (TLS from the first byte)."""

    vendor_timeout_s: float = 30.0
    """Seconds without a byte from a vendor before its answer counts as lost."""
    vendor_backoff_s: float = 0.5
    """First pause before a call is tried again; doubles with every try."""
    vendor_settle_s: float = 60.0
    """Seconds after which a creation whose answer was lost is surely made or not: twice a call's own time-out."""

    @field_validator("activation_duckdb_memory", "alert_email_to", "alert_email_from", mode="before")
    @classmethod
    def _unset(cls, value: Any) -> Any:
        """An empty text, as a line of ``.env`` without a value gives it, is no setting."""
        return None if value == "" else value

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file."""
        return self.activation_home / "warehouse.duckdb"

    @property
    def raw_dir(self) -> Path:
        """Retained raw files, one folder a lane and window: ``raw/<lane>/<window key>/``."""
        return self.activation_home / "raw"

    @property
    def journal(self) -> str:
        """SQLAlchemy URL of the journal: SQLite in the home by default."""
        return self.journal_url or f"sqlite:///{self.activation_home / 'journal.sqlite'}"

    @property
    def customerio_app(self) -> str:
        """Base address of the App API (region's host unless pointed elsewhere)."""
        return (self.customerio_app_url or _CUSTOMERIO_HOSTS[self.customerio_region][0]).rstrip("/")

    @property
    def customerio_track(self) -> str:
        """Base address of the Track API (region's host unless pointed elsewhere)."""
        return (self.customerio_track_url or _CUSTOMERIO_HOSTS[self.customerio_region][1]).rstrip("/")

    def access(self, model: type[A]) -> A:
        """Return how to get into one destination, as its package declares it: from the environment and ``.env``."""
        given = self._given.get(model)
        return given if isinstance(given, model) else model()

    def with_access(self, *given: Access) -> Settings:
        """Return settings that get into these destinations as ``given`` says, whatever the environment holds."""
        made = self.model_copy()
        made._given = {**self._given, **{type(one): one for one in given}}
        return made

    def secrets(self, *names: str) -> list[str]:
        """Return those of the named secret settings that are set, in clear."""
        found: list[SecretStr | None] = [getattr(self, name) for name in names]
        return [v.get_secret_value() for v in found if v is not None and v.get_secret_value().strip()]
