"""A record's key under another policy, from what is stored of it. The item of its list is not stored."""

from typing import Any

from .config import EndpointConfig
from .keys import scalar


def key_again(config: EndpointConfig, payload: Any, label: str | None, address: str | None) -> str:
    """The key by the policy of `config`. Raises TornListing where it cannot be told.

    Where the list is all there is, the payload is the item. Else each field is taken from the document, which mostly
    repeats the item's; from the label, if it is the field that labels; or from the document's own address, if the
    policy cuts the key out of a field that the document does not have.
    """
    policy = config.key_policy

    def find(field: str) -> str | None:
        value = scalar(payload, field)
        if value is None and config.detail is not None:
            value = label if field == config.label else None
            if value is None and policy.pattern is not None:
                value = address
        return value

    return policy.key_from(find, payload)
