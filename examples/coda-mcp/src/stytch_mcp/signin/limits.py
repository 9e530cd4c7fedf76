"""How often, by whom: bounds that one replica keeps in memory, and the address a request came from."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Sequence

from starlette.requests import Request

from stytch_mcp.protect.remote import Clock

MOST_KEYS = 10_000

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Limit:
    """At most `most` events per key within `seconds`."""

    def __init__(self, most: int, seconds: float, clock: Clock) -> None:
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._events: OrderedDict[str, deque[float]] = OrderedDict()

    def take(self, key: str) -> float:
        """Counts an event and returns 0, or returns the seconds to wait and counts nothing."""
        now = self._clock()
        events = self._events.setdefault(key, deque(maxlen=self._most))
        self._events.move_to_end(key)
        while len(self._events) > MOST_KEYS:
            self._events.popitem(last=False)
        while events and now - events[0] >= self._seconds:
            events.popleft()
        if len(events) == self._most:
            return self._seconds - (now - events[0])
        events.append(now)
        return 0.0


class Tries:
    """At most `most` guesses at the code that was sent last to an address, as far as this replica knows."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._made: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, address: str, sent_at: float) -> bool:
        """Counts a guess at the code sent then; False when there were too many."""
        newest, made = self._made.get(address, (0.0, 0))
        if sent_at > newest:
            newest, made = sent_at, 0
        self._made[address] = (newest, made + 1)
        self._made.move_to_end(address)
        while len(self._made) > MOST_KEYS:
            self._made.popitem(last=False)
        return made < self._most


class Once:
    """What may happen once, as far as this replica knows; remembered for `seconds`."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._taken: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> bool:
        """Whether it is the first time."""
        now = self._clock()
        while self._taken and now - next(iter(self._taken.values())) > self._seconds:
            self._taken.popitem(last=False)
        if key in self._taken:
            return False
        self._taken[key] = now
        return True

    def give_back(self, key: str) -> None:
        """It did not happen after all."""
        self._taken.pop(key, None)


def client_address(request: Request, proxies: Sequence[Network]) -> str | None:
    """Where a request came from: the last hop that is not one of our proxies; None when none are named.

    `X-Forwarded-For` is read from its end, as far as our proxies wrote it. `CF-Connecting-IP` counts only where every
    hop that is known is one of them: anyone else could have written it. IPv6: the /64, which is one customer.
    """
    if not proxies or request.client is None:
        return None
    chain = ",".join(request.headers.getlist("x-forwarded-for")).split(",")
    for hop in (request.client.host, *reversed(chain)):
        address = _address(hop)
        if address is None:
            break
        if not any(address in network for network in proxies):
            return _key(address)
    named = _address(request.headers.get("cf-connecting-ip", ""))
    return None if named is None else _key(named)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip().strip("[]"))
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _key(address: Address) -> str:
    return str(address) if address.version == 4 else str(ipaddress.ip_network((address, 64), strict=False))
