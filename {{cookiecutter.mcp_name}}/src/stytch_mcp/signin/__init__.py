"""The page that Stytch sends people to: log in, consent, connections. Without JavaScript, without state of its own.

What must outlast a request travels in encrypted cookies, so that any replica can serve any step. The few things that a
replica remembers (tries, sends, decisions) are bounds of their own: two replicas allow twice as much.
"""
