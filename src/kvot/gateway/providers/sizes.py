"""How much text a value of a request has, as the model reads it. Media are each dialect's own."""

from kvot.gateway.metered import text_bytes


def schema_bytes(value: object) -> int:
    """UTF-8 bytes of a tool, a schema or arguments: there the names of members are read by the model as well."""
    total = 0
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            total += sum(map(text_bytes, each))
            left.extend(each.values())
        elif isinstance(each, list):
            left.extend(each)
        else:
            total += text_bytes(each)
    return total


def base64_bytes(data: str) -> int:
    """What base64 stands for: three bytes for four characters."""
    return len(data) * 3 // 4
