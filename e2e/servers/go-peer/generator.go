package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"

	generatorv1 "external-secrets.io/e2e/servers/go-peer/gen/generator/v1"
)

// counter generates the next number, and remembers in its state which one it was.
type counter struct {
	generatorv1.UnimplementedGeneratorProviderServer
	cluster *cluster
	last    atomic.Int64
}

// open gives an error unless the reference leads to a generator. Unlike the stores', its source namespace may be empty; an
// object is looked up there when the reference names no namespace, and credentials are always read there.
func (c *counter) open(ref *generatorv1.GeneratorRef, sourceNamespace string) error {
	if ref == nil {
		return errors.New("request or generator ref is nil")
	}
	found, err := c.cluster.findGenerator(ref, sourceNamespace)
	if err == nil && found.Invalid {
		err = errors.New("spec.limit must not be negative")
	}
	if err != nil {
		return fmt.Errorf("failed to get generator: %w", err)
	}
	return nil
}

func (c *counter) Generate(_ context.Context, in *generatorv1.GenerateRequest) (*generatorv1.GenerateResponse, error) {
	if err := c.open(in.GetGeneratorRef(), in.GetSourceNamespace()); err != nil {
		return nil, err
	}
	number := fmt.Sprint(c.last.Add(1))
	return &generatorv1.GenerateResponse{
		Secrets: map[string][]byte{"number": []byte(number)},
		State:   []byte(`{"number":` + number + `}`),
	}, nil
}

// Cleanup has nothing to remove: a number that was counted is gone. An empty state was never stored, and so never comes.
func (c *counter) Cleanup(_ context.Context, in *generatorv1.CleanupRequest) (*generatorv1.CleanupResponse, error) {
	if err := c.open(in.GetGeneratorRef(), in.GetSourceNamespace()); err != nil {
		return nil, err
	}
	var state struct {
		Number int64 `json:"number"`
	}
	if len(in.GetState()) > 0 {
		if err := json.Unmarshal(in.GetState(), &state); err != nil {
			return nil, errors.New("failed to cleanup generator resources: the state is not JSON")
		}
		if state.Number == 0 {
			return nil, errors.New("failed to cleanup generator resources: the state is not a counter's")
		}
	}
	return &generatorv1.CleanupResponse{}, nil
}
