"""Content credentials (C2PA) made by the tests: certificates of any name, any manifest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"


@dataclass(frozen=True)
class HomeMade:
    """A certificate chain that anyone can make in a second.

    Attributes:
        root_pem: the issuer's certificate.
        chain_pem: the signer's certificate, then the issuer's.
        key_pem: the signer's private key.
    """

    root_pem: str
    chain_pem: bytes
    key_pem: bytes


def home_made(organization: str) -> HomeMade:
    """A signer with this name and an issuer that nobody knows."""
    root, root_key = _certificate(f"{organization} Root", organization)
    leaf, leaf_key = _certificate(organization, organization, (root, root_key))
    pem = serialization.Encoding.PEM
    key = leaf_key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return HomeMade(
        root.public_bytes(pem).decode(), leaf.public_bytes(pem) + root.public_bytes(pem), key
    )


def manifest(source_type: str, program: str = "Camera") -> dict[str, Any]:
    """A manifest that declares one source type."""
    created = {"action": "c2pa.created", "digitalSourceType": source_type}
    return {
        "claim_generator_info": [{"name": program, "version": "1.0"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [created]}}],
    }


def sign(
    path: Path,
    signer: HomeMade,
    declared: dict[str, Any],
    kept_at: str | None = None,
    parent: Path | None = None,
) -> Path:
    """Sign a file; its credentials are embedded, or kept at an address and only named in it."""
    mime = {".jpg": "image/jpeg", ".mp4": "video/mp4", ".png": "image/png"}[path.suffix]
    signed = path.with_stem(f"{path.stem}_signed")
    with c2pa.Builder(declared) as builder:
        if kept_at is not None:
            builder.set_no_embed()
            builder.set_remote_url(kept_at)
        if parent is not None:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            with parent.open("rb") as file:
                builder.add_ingredient({"relationship": "parentOf"}, mime, file)
        info = c2pa.C2paSignerInfo(b"es256", signer.chain_pem, signer.key_pem, None)
        with path.open("rb") as source, signed.open("wb+") as target:
            builder.sign(c2pa.Signer.from_info(info), mime, source, target)
    return signed


Certificate = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _certificate(name: str, organization: str, issuer: Certificate | None = None) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
    by, by_key = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    now, is_root = datetime.now(UTC), issuer is None
    usage = x509.KeyUsage(
        digital_signature=not is_root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_root,
        crl_sign=is_root,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(by_key.public_key()), False
        )
    )
    if not is_root:
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purpose, critical=False)
    return builder.sign(by_key, hashes.SHA256()), key
