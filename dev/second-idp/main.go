// A second identity provider for tests, so that nothing of Usher is tuned to the first: Zitadel's certified OpenID provider library, with
// the storage and the login page of its example. It is unlike Keycloak where providers may differ: its issuer ends in a slash, it signs by
// RSA, ID tokens say only who somebody is, and what else is known of them is at the UserInfo endpoint.
//
//	second-idp PORT CERTIFICATE KEY
package main

import (
	"context"
	"log/slog"
	"net/http"
	"os"

	"github.com/zitadel/oidc/v3/example/server/exampleop"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// Their passwords are their names.
type people map[string]*storage.User

func (p people) GetUserByID(id string) *storage.User         { return p[id] }
func (p people) GetUserByUsername(name string) *storage.User { return p["id-of-"+name] }
func (p people) ExampleClientID() string                     { return "nobody" }

func person(name, email string, verified bool) *storage.User {
	return &storage.User{
		ID: "id-of-" + name, Username: name, Password: name, FirstName: name, LastName: "Example",
		Email: email, EmailVerified: verified,
	}
}

// The port of an Usher in a test is known only when it runs.
type wherever struct{ op.Client }

func (wherever) RedirectURIGlobs() []string {
	return []string{"https://localhost:*/*/*", "https://127.0.0.1:*/*/*"}
}
func (wherever) PostLogoutRedirectURIGlobs() []string { return nil }

type store struct{ *storage.Storage }

func (s store) GetClientByClientID(ctx context.Context, id string) (op.Client, error) {
	client, err := s.Storage.GetClientByClientID(ctx, id)
	if err != nil {
		return nil, err
	}
	return wherever{client}, nil
}

func main() {
	port, certificate, key := os.Args[1], os.Args[2], os.Args[3]
	storage.RegisterClients(storage.WebClient("usher", "for development only", "https://localhost/nowhere"))
	known := people{}
	for _, user := range []*storage.User{
		person("dora", "dora@other.acme.example", true),
		person("emil", "emil@other.acme.example", false),
		// Of a domain that is not this provider's.
		person("ann", "ann@acme.example", true),
	} {
		known[user.ID] = user
	}
	provider := exampleop.SetupServer("https://localhost:"+port+"/", store{storage.NewStorage(known)}, slog.Default(), false)
	slog.Error("it ended", "why", http.ListenAndServeTLS("127.0.0.1:"+port, certificate, key, provider))
	os.Exit(1)
}
