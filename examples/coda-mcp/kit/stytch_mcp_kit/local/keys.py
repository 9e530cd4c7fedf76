"""The project's RSA keys, as Stytch publishes them; one set signs every kind of token."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm


def new_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class SigningKey:
    """A private key with the `kid` and the JWK (RFC 7517) that go with it."""

    def __init__(self, private: rsa.RSAPrivateKey, now: float) -> None:
        self.private = private
        self.kid = f"jwk-test-{uuid4()}"
        certificate = self_signed(private, datetime.fromtimestamp(now, UTC))
        self.jwk: dict[str, Any] = {
            **RSAAlgorithm.to_jwk(private.public_key(), as_dict=True),
            "kid": self.kid,
            "use": "sig",
            "alg": "RS256",
            "key_ops": ["verify"],
            "x5c": [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode()],
            # Stytch's own member name; RFC 7517 section 4.9 calls it x5t#S256.
            "x5tS256": base64.urlsafe_b64encode(certificate.fingerprint(hashes.SHA256())).decode().rstrip("="),
        }

    @property
    def public_pem(self) -> bytes:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def self_signed(private: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "local Stytch")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(private, hashes.SHA256())
    )


class KeyRing:
    """The key that signs, the one before it, and which of them are published."""

    def __init__(self, first: SigningKey) -> None:
        self.current = first
        self.previous: SigningKey | None = None
        self.published = [first]

    def rotate(self, new: SigningKey, keep_old: bool) -> None:
        """Sign with `new` from now on. Stytch publishes the old key for a month: `keep_old`."""
        self.previous, self.current = self.current, new
        self.published = [new, *self.published] if keep_old else [new]

    def jwks(self) -> dict[str, Any]:
        return {"keys": [key.jwk for key in self.published]}
