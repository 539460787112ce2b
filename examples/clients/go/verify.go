// verify LICENSE JWKS ISSUER PRODUCT: may this product be used? With go-jose.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// license is what this program reads of a document, beside the registered claims.
type license struct {
	Schema   int    `json:"schema"`
	State    string `json:"state"`
	Features []struct {
		Name string `json:"name"`
	} `json:"features"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "refused:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 4 {
		return errors.New("usage: verify LICENSE JWKS ISSUER PRODUCT")
	}
	registered, license, err := check(args[0], args[1], args[2], args[3])
	if err != nil {
		return err
	}
	var features []string
	for _, feature := range license.Features {
		features = append(features, feature.Name)
	}
	fmt.Printf("ok: %s may use %s until %s; features: %s\n", registered.Subject, registered.Audience[0],
		registered.Expiry.Time().UTC().Format(time.RFC3339), strings.Join(features, ", "))
	return nil
}

func check(licensePath, jwksPath, issuer, product string) (*jwt.Claims, *license, error) {
	document, err := os.ReadFile(licensePath)
	if err != nil {
		return nil, nil, err
	}
	key, token, err := open(string(document), jwksPath)
	if err != nil {
		return nil, nil, err
	}
	var registered jwt.Claims
	var license license
	if err := token.Claims(key, &registered, &license); err != nil {
		return nil, nil, err
	}
	now := time.Now()
	switch {
	case len(registered.Audience) != 1:
		return nil, nil, fmt.Errorf("expected one product, found %d", len(registered.Audience))
	case registered.NotBefore == nil || registered.Expiry == nil:
		return nil, nil, errors.New("expected nbf and exp")
	case !now.Before(registered.Expiry.Time()): // go-jose still takes the instant of exp itself
		return nil, nil, jwt.ErrExpired
	case license.Schema != 1:
		return nil, nil, fmt.Errorf("expected schema 1, found %d", license.Schema)
	case license.State != "active":
		return nil, nil, fmt.Errorf("the license is %s", license.State)
	}
	expected := jwt.Expected{Issuer: issuer, AnyAudience: jwt.Audience{product}, Time: now}
	return &registered, &license, registered.ValidateWithLeeway(expected, 0)
}

// open parses the document and finds the key that its header names; nothing of it is verified yet.
func open(document, jwksPath string) (*jose.JSONWebKey, *jwt.JSONWebToken, error) {
	file, err := os.ReadFile(jwksPath)
	if err != nil {
		return nil, nil, err
	}
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(file, &keys); err != nil {
		return nil, nil, err
	}
	token, err := jwt.ParseSigned(document, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		return nil, nil, err
	}
	header := token.Headers[0]
	if typ := header.ExtraHeaders[jose.HeaderType]; typ != "license+jwt" {
		return nil, nil, fmt.Errorf("expected typ license+jwt, found %v", typ)
	}
	named := keys.Key(header.KeyID)
	if header.KeyID == "" || len(named) != 1 {
		return nil, nil, fmt.Errorf("the key %q is not among the trusted keys", header.KeyID)
	}
	return &named[0], token, nil
}
