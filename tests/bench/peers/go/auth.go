package main

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const knownTokens = 1024

type claims struct {
	jwt.RegisteredClaims
	ClientID string `json:"client_id"`
	Scope    string `json:"scope"`
}

// tokens checks access tokens, and remembers those that were good.
type tokens struct {
	secret []byte
	parser *jwt.Parser
	mutex  sync.RWMutex
	known  map[[sha256.Size]byte]*claims
}

func newTokens(secret, issuer, audience string) *tokens {
	return &tokens{
		secret: []byte(secret),
		parser: jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
			jwt.WithExpirationRequired(), jwt.WithStrictDecoding()),
		known: map[[sha256.Size]byte]*claims{},
	}
}

func (t *tokens) key(token *jwt.Token) (any, error) {
	if token.Header["typ"] != "at+jwt" {
		return nil, errors.New("not an access token")
	}
	return t.secret, nil
}

func (t *tokens) verify(token string) (*claims, error) {
	digest := sha256.Sum256([]byte(token))
	t.mutex.RLock()
	found := t.known[digest]
	t.mutex.RUnlock()
	if found != nil {
		if !time.Now().Before(found.ExpiresAt.Time) {
			return nil, jwt.ErrTokenExpired
		}
		return found, nil
	}
	found = &claims{}
	if _, err := t.parser.ParseWithClaims(token, found, t.key); err != nil {
		return nil, err
	}
	if found.ClientID == "" || found.ClientID != found.Subject {
		return nil, errors.New("the token names no client")
	}
	t.mutex.Lock()
	if len(t.known) >= knownTokens {
		clear(t.known)
	}
	t.known[digest] = found
	t.mutex.Unlock()
	return found, nil
}

func (c *claims) has(scope string) bool {
	for one := range strings.FieldsSeq(c.Scope) {
		if one == scope {
			return true
		}
	}
	return false
}

type handler func(w http.ResponseWriter, r *http.Request, client string)

// guard lets only those through whose token has the scope.
func (s *server) guard(scope string, next handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" {
			w.Header().Set("WWW-Authenticate", "Bearer")
			problem(w, http.StatusUnauthorized, "UNAUTHORIZED", "Missing or invalid Authorization header")
			return
		}
		found, err := s.tokens.verify(token)
		switch {
		case errors.Is(err, jwt.ErrTokenExpired):
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			problem(w, http.StatusUnauthorized, "TOKEN_EXPIRED", "The access token has expired")
		case err != nil:
			w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
			problem(w, http.StatusUnauthorized, "INVALID_TOKEN", "The access token is not valid")
		case !found.has(scope):
			w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+scope+`"`)
			problem(w, http.StatusForbidden, "FORBIDDEN", "The access token lacks the scope "+scope)
		default:
			next(w, r, found.ClientID)
		}
	}
}
