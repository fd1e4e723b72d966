"""The kinds of operations on people's records and lists that a CRM knows."""

from __future__ import annotations

from cio_activation.delivery.fields import ValueKinds
from cio_activation.journal.operations import Kind

LINK = Kind(name="link", links=True, told="looked for the record")
"""Looks up which record a person is."""
CREATE = Kind(name="create", creates=True, writes_fields=True, stamps=True, told="made a record with")
"""Makes a person's record, with its fields and our key."""
UPDATE = Kind(name="update", writes_fields=True, told="wrote")
STAMP = Kind(name="stamp", writes_fields=True, stamps=True, told="wrote our key, and")
"""Writes fields, and our key to a record that does not carry it yet."""
CLEAR = Kind(name="clear", writes_fields=True, empties=True, told="emptied")
"""Empties our fields of a person who is no more."""
WITHDRAW = Kind(name="withdraw", writes_fields=True, told="emptied")
"""Empties fields that left the activation."""
ADD = Kind(name="add", writes_membership=True, enters=True, told="put on the list of")
REMOVE = Kind(name="remove", writes_membership=True, told="took off the list of")

VALUES = ValueKinds(create=CREATE, update=UPDATE, clear=CLEAR)
RECORDS = (CREATE, UPDATE, STAMP, CLEAR)
MEMBERSHIPS = (ADD, REMOVE)
