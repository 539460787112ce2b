"""verify LICENSE JWKS ISSUER PRODUCT: may this product be used? With PyJWT."""

import json
import sys
from datetime import datetime, timezone
from pathlib import Path

import jwt


def check(license_path: str, jwks_path: str, issuer: str, product: str) -> dict:
    document = Path(license_path).read_text(encoding="ascii")
    keys = jwt.PyJWKSet.from_dict(json.loads(Path(jwks_path).read_text(encoding="utf-8")))
    kid = jwt.get_unverified_header(document).get("kid")
    key = next((key for key in keys.keys if key.key_id == kid), None)
    if key is None:
        raise jwt.InvalidTokenError(f"the key {kid!r} is not among the trusted keys")
    verified = jwt.decode_complete(
        document,
        key,
        algorithms=["EdDSA"],
        issuer=issuer,
        audience=product,
        options={"require": ["iss", "aud", "sub", "iat", "nbf", "exp"], "strict_aud": True},
    )
    header, claims = verified["header"], verified["payload"]
    if header.get("typ") != "license+jwt":
        raise jwt.InvalidTokenError(f"expected typ 'license+jwt', found {header.get('typ')!r}")
    if claims.get("schema") != 1:
        raise jwt.InvalidTokenError(f"expected schema 1, found {claims.get('schema')!r}")
    if claims.get("state") != "active":
        raise jwt.InvalidTokenError(f"the license is {claims.get('state')}")
    return claims


def main() -> int:
    if len(sys.argv) != 5:
        print("refused: usage: verify.py LICENSE JWKS ISSUER PRODUCT", file=sys.stderr)
        return 1
    try:
        claims = check(*sys.argv[1:])
    except (jwt.PyJWTError, OSError, ValueError) as why:
        print(f"refused: {why}", file=sys.stderr)
        return 1
    until = datetime.fromtimestamp(claims["exp"], timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    features = ", ".join(feature["name"] for feature in claims["features"])
    print(f"ok: {claims['sub']} may use {claims['aud']} until {until}; features: {features}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
