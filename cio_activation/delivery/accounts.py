"""Asks a destination which account it is, before anything is planned for it or sent to it."""

from __future__ import annotations

import logging

from cio_activation.delivery.destination import Context, Destination, IdentifiesAccount
from cio_activation.runtime import Runtime
from cio_activation.transport.http import VendorClient
from cio_activation.warehouse import accounts

log = logging.getLogger("cio_activation.accounts")


async def require_account(
    runtime: Runtime, destination: Destination, client: VendorClient, context: Context, *, again: bool = False
) -> None:
    """Raise ConfigError if ``client`` opens another account than the one this home belongs to.

    One call; none where the same credential opened it within ``accounts.MAX_AGE``, unless ``again``. At first contact
    the account is noted, and what it holds of ours already is logged: this home knows nothing of that.
    """
    if not isinstance(destination, IdentifiesAccount):
        return
    name, home = destination.name, runtime.settings.activation_home
    with runtime.warehouse.read() as con:
        if not again and accounts.is_checked(con, name, client.access_hash):
            return
        before = accounts.known(con, name)
    account_id = await destination.account(client)
    if before is None and (note := await _first_contact(destination, client, context, account_id)):
        log.warning("%s", note)
    with runtime.warehouse.write() as con:
        accounts.meet(con, name, account_id, client.access_hash, home)


async def compared(
    destination: Destination, client: VendorClient, context: Context, before: str | None
) -> tuple[str | None, str | None]:
    """Return (why the account is not the one ``before``, what is to be said at first contact), each None if nothing."""
    if not isinstance(destination, IdentifiesAccount):
        return None, None
    account_id = await destination.account(client)
    if before is None:
        return None, await _first_contact(destination, client, context, account_id)
    return accounts.difference(destination.name, before, account_id, context.settings.activation_home), None


async def _first_contact(
    destination: IdentifiesAccount, client: VendorClient, context: Context, account_id: str
) -> str | None:
    there = await destination.ours_there(client, context)
    if not there:
        return None
    return (
        f"{client.vendor}: the home {context.settings.activation_home.absolute()} is new to the account {account_id}, "
        f"where {there}. Records are found by cio_id, then by the match keys, and nothing that is not ours is "
        "rewritten; if there is an older home, set ACTIVATION_HOME to it"
    )
