"""Conditions of the kms module. No error carries key material, a seed or a ciphertext."""

from orion.errors import OrionError, Retry


class GroupNotFound(OrionError):
    """The group has no seed yet: `create_group` makes one."""

    code = "wallet_group_not_found"


class GroupOutOfTurn(OrionError):
    """A request asks for a group that is neither there nor the one after an existing group."""

    code = "wallet_group_out_of_turn"


class GroupsMadeTooFast(OrionError):
    """The groups right before the one that a request asks for are too many for the last hour."""

    code = "wallet_groups_too_fast"
    retry = Retry.LATER


class MalformedRequest(OrionError):
    """A request to kms whose fields are missing, unknown or of another type."""

    code = "malformed_request"


class UnusableNetworks(OrionError):
    """The stage's networks lack Bitcoin or Ethereum, or name one by something that is no text."""

    code = "unusable_networks"


class CustodySetsMissing(OrionError):
    """A custody set that the group's wallets need is not registered, or not for that purpose."""

    code = "custody_sets_missing"


class GroupWithoutCustody(OrionError):
    """The deployment says of no custody sets that they hold this group's wallets."""

    code = "group_without_custody"


class UnusableCustodyGroups(OrionError):
    """The parameter `custody/groups` is not of its form, or contradicts itself."""

    code = "unusable_custody_groups"


class SeedRefused(OrionError):
    """A stored secret (seed or chain key, see the field `purpose`) does not decrypt under this
    group's context: another group's, altered, or another key's.
    """

    code = "seed_refused"


class SeedVaultUnavailable(OrionError):
    """KMS does not answer or refuses the caller. Nothing happened."""

    code = "seed_vault_unavailable"
    retry = Retry.LATER


class ProcessNotSealed(OrionError):
    """The operating system would let this process's memory be read: it must not open a seed."""

    code = "process_not_sealed"
