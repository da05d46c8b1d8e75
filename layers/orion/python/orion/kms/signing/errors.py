"""Why a signer does not sign. Every code is listed in docs/signers.md."""

from orion.errors import OrionError, Retry


class ChainKeyNotFound(OrionError):
    """The group has no key on this chain: `create_group` writes them."""

    code = "chain_key_not_found"


class ChainKeyRefused(OrionError):
    """The stored key does not open under this group's context: another group's or chain's,
    altered, or another KMS key's.
    """

    code = "chain_key_refused"


class ChainKeyVaultUnavailable(OrionError):
    """KMS does not answer or refuses the caller. Nothing happened."""

    code = "chain_key_vault_unavailable"
    retry = Retry.LATER


class NotASweep(OrionError):
    """A transaction that pays nothing, replaces keys, or asks for signatures that do not belong to
    the wallets named.
    """

    code = "not_a_sweep"


class RecipientNotOurs(OrionError):
    """A payment to something other than the group's own hot or warm account. `recipient` names
    it.
    """

    code = "recipient_not_ours"


class FeeTooHigh(OrionError):
    """The wallets could lose `fee_max_units`, more than `cap_units`."""

    code = "fee_too_high"


class LimitMissing(OrionError):
    """The stage says no limit for this chain, or none that can be read: nothing is signed without
    one. `parameter` names it.
    """

    code = "limit_missing"


class WrongNetwork(OrionError):
    """A transaction of another network than the stage's."""

    code = "wrong_network"


class CustodyAccountNotFound(OrionError):
    """The group has no such custody account, or the set that it names is not registered."""

    code = "custody_account_not_found"


class CustodyAccountNotOnChain(OrionError):
    """A payment to an account of ours that nobody has seen on its chain in its set's hands: until
    then another key may hold it, or none. `recipient` names it.
    """

    code = "custody_account_not_on_chain"


class RotationRefused(OrionError):
    """A wallet cannot come into this set's hands. `reason` says why, `group`, `wallet` and `set`
    name them.
    """

    code = "rotation_refused"


class BodyConflicts(OrionError):
    """Another body was signed under this nonce before. `slot` names the nonce."""

    code = "body_conflicts"


class FloatExhausted(OrionError):
    """The fees signed since the last refill leave no room: `committed_units` of `cap_units`, and
    `wanted_units` more are asked for.
    """

    code = "float_exhausted"


class RefillDiffers(OrionError):
    """A refill of this id was recorded with other units."""

    code = "refill_differs"


class NamingKeyDiffers(OrionError):
    """The account was not named by this group's own key: its anchor is another address."""

    code = "naming_key_differs"


class MalformedPublicKey(OrionError):
    """Bytes that are no point of prime order on their curve, or not in the compressed form.
    `place` names the key: set, curve, custodian.
    """

    code = "malformed_public_key"


class KeyInTwoPlaces(OrionError):
    """A public key that another custodian or another set has already. `place` names the second."""

    code = "key_in_two_places"


class CustodySetDiffers(OrionError):
    """The set is registered with another purpose or other keys: a stored set never changes."""

    code = "custody_set_differs"


class AccountDiffers(OrionError):
    """A stored address is not the one that its set's keys and anchor give, or its anchor is not
    one that belongs to the account. `group`, `wallet`, `chain` and `set` name the row.
    """

    code = "account_differs"
