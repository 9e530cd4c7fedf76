"""From Stytch to WorkOS without losing anyone: users are exported and imported, and keep who they are.

Commands are in `commands`. Consumer projects only: a member of a B2B project belongs to an organization, and one person
may be several of them.
"""
