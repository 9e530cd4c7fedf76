"""The parts that are the same in every server, by the folder of their tests, and the answers that bring each along."""

PARTS: dict[str, dict[str, bool]] = {
    "runtime": {},
    "kit": {},
    "check": {},
    "faults": {},
    "fuzz": {},
    "migrate": {"workos_migration": True},
}
