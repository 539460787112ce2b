// verify LICENSE JWKS ISSUER PRODUCT: may this product be used? With jose.

import { readFileSync } from "node:fs";
import { createLocalJWKSet, jwtVerify } from "jose";

async function check(license, jwks, issuer, product) {
  const keys = createLocalJWKSet(JSON.parse(readFileSync(jwks, "utf8")));
  const keyByName = (header, token) => {
    if (!header.kid) throw new Error("the header has no kid");
    return keys(header, token);
  };
  const { payload, protectedHeader } = await jwtVerify(readFileSync(license, "ascii"), keyByName, {
    algorithms: ["EdDSA", "Ed25519"],
    typ: "license+jwt",
    issuer,
    audience: product,
    requiredClaims: ["sub", "iat", "nbf", "exp"],
  });
  if (protectedHeader.typ !== "license+jwt") throw new Error(`expected typ license+jwt, found ${protectedHeader.typ}`);
  if (payload.aud !== product) throw new Error(`expected the one product ${product}, found ${payload.aud}`);
  if (payload.schema !== 1) throw new Error(`expected schema 1, found ${payload.schema}`);
  if (payload.state !== "active") throw new Error(`the license is ${payload.state}`);
  return payload;
}

try {
  if (process.argv.length !== 6) throw new Error("usage: verify.mjs LICENSE JWKS ISSUER PRODUCT");
  const { sub, aud, exp, features } = await check(...process.argv.slice(2));
  const until = new Date(exp * 1000).toISOString().replace(".000Z", "Z");
  console.log(`ok: ${sub} may use ${aud} until ${until}; features: ${features.map(({ name }) => name).join(", ")}`);
} catch (why) {
  console.error(`refused: ${why.message}`);
  process.exitCode = 1;
}
