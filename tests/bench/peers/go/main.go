// The order path of order-svc in Go: net/http, pgx, go-redis. It is what order-svc is measured against, not a part of the system.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

type server struct {
	tokens *tokens
	store  *store
	redis  *redis.Client
}

func env(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func number(name string, fallback int) int {
	value, err := strconv.Atoi(env(name, strconv.Itoa(fallback)))
	if err != nil {
		log.Fatalf("%s is not a number", name)
	}
	return value
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // the live heap is small, so collections are rare and cost little
	}
	uuid.EnableRandPool()

	store, err := openStore(ctx, number("DB_POOL_SIZE", 16))
	if err != nil {
		return err
	}
	defer store.close()
	s := &server{
		tokens: newTokens(env("JWT_SECRET", ""), env("JWT_ISSUER", "order-processing-system"), env("JWT_AUDIENCE", "order-api")),
		store:  store,
		redis: redis.NewClient(&redis.Options{
			Addr: net.JoinHostPort(env("REDIS_HOST", "127.0.0.1"), env("REDIS_PORT", "6379")),
			DB:   number("REDIS_DB", 0), PoolSize: number("REDIS_POOL_SIZE", 16), PoolTimeout: 10 * time.Second,
			DisableIdentity: true}),
	}
	defer s.redis.Close()

	routes := http.NewServeMux()
	routes.HandleFunc("POST /orders", s.guard("order:create", s.createOrder))
	routes.HandleFunc("GET /orders/{id}", s.guard("order:read", s.getOrder))
	routes.HandleFunc("GET /health/ready", s.ready)
	web := &http.Server{
		Addr:              net.JoinHostPort(env("BIND_ADDRESS", "127.0.0.1"), env("ORDER_SERVICE_PORT", "3001")),
		Handler:           routes,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	go func() {
		<-ctx.Done()
		drain, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = web.Shutdown(drain) // who has not got an answer by then gets none
	}()
	if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}
