package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	generatorv1 "external-secrets.io/e2e/servers/go-peer/gen/generator/v1"
	providerv1 "external-secrets.io/e2e/servers/go-peer/gen/provider/v1"
)

// memoryStore answers in the manner of the Go providers: absent secrets are NOT_FOUND (or, in the older ones, UNKNOWN with
// the same ending), and everything else that goes wrong is UNKNOWN with free text, here as a plain error.
type memoryStore struct {
	providerv1.UnimplementedSecretStoreProviderServer
	mutex           sync.Mutex
	secrets         map[string]string
	absentIsUnknown bool
}

const absent = "Secret does not exist"

func (m *memoryStore) check(ref *providerv1.ProviderReference, sourceNamespace string) error {
	switch {
	case sourceNamespace == "":
		return errors.New("source namespace is required")
	case ref == nil:
		return errors.New("provider reference is required")
	case strings.Count(ref.GetApiVersion(), "/") != 1:
		return fmt.Errorf("invalid api version: %s", ref.GetApiVersion())
	}
	return nil
}

func (m *memoryStore) missing(what string) error {
	if m.absentIsUnknown {
		return errors.New(what + absent)
	}
	return status.Error(codes.NotFound, what+absent)
}

func (m *memoryStore) read(ref *providerv1.ExternalSecretDataRemoteRef, what string) (string, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	value, ok := m.secrets[ref.GetKey()]
	if !ok {
		return "", m.missing(what)
	}
	if ref.GetProperty() == "" {
		return value, nil
	}
	members, err := asMap(value)
	if err != nil {
		return "", errors.New(what + err.Error())
	}
	member, ok := members[ref.GetProperty()]
	if !ok {
		return "", m.missing(what)
	}
	return string(member), nil
}

// asMap takes strings without their quotes and everything else as its JSON text.
func asMap(value string) (map[string][]byte, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal([]byte(value), &members); err != nil {
		return nil, errors.New("the secret is not a JSON object")
	}
	made := map[string][]byte{}
	for name, raw := range members {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			raw = []byte(text)
		}
		made[name] = raw
	}
	return made, nil
}

func (m *memoryStore) GetSecret(_ context.Context, in *providerv1.GetSecretRequest) (*providerv1.GetSecretResponse, error) {
	if in.GetRemoteRef() == nil {
		return nil, errors.New("request or remote ref is nil")
	}
	if err := m.check(in.GetProviderRef(), in.GetSourceNamespace()); err != nil {
		return nil, err
	}
	value, err := m.read(in.GetRemoteRef(), "failed to get secret: ")
	if err != nil {
		return nil, err
	}
	return &providerv1.GetSecretResponse{Value: []byte(value)}, nil
}

func (m *memoryStore) GetSecretMap(_ context.Context, in *providerv1.GetSecretMapRequest) (*providerv1.GetSecretMapResponse, error) {
	if in.GetRemoteRef() == nil {
		return nil, errors.New("request or remote ref is nil")
	}
	if err := m.check(in.GetProviderRef(), in.GetSourceNamespace()); err != nil {
		return nil, err
	}
	value, err := m.read(in.GetRemoteRef(), "failed to get secret map: ")
	if err != nil {
		return nil, err
	}
	members, err := asMap(value)
	if err != nil {
		return nil, fmt.Errorf("failed to get secret map: %w", err)
	}
	return &providerv1.GetSecretMapResponse{Secrets: members}, nil
}

func (m *memoryStore) GetAllSecrets(_ context.Context, in *providerv1.GetAllSecretsRequest) (*providerv1.GetAllSecretsResponse, error) {
	if in.GetFind() == nil {
		return nil, errors.New("request or find criteria is nil")
	}
	if err := m.check(in.GetProviderRef(), in.GetSourceNamespace()); err != nil {
		return nil, err
	}
	if in.GetFind().GetName() == nil {
		return nil, errors.New("failed to get all secrets: unsupported find operator")
	}
	name, err := regexp.Compile(in.GetFind().GetName().GetRegexp())
	if err != nil {
		return nil, fmt.Errorf("failed to get all secrets: %w", err)
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	found := map[string][]byte{}
	for key, value := range m.secrets {
		if name.MatchString(key) {
			found[key] = []byte(value)
		}
	}
	return &providerv1.GetAllSecretsResponse{Secrets: found}, nil
}

func (m *memoryStore) PushSecret(_ context.Context, in *providerv1.PushSecretRequest) (*providerv1.PushSecretResponse, error) {
	if in.GetPushSecretData() == nil {
		return nil, errors.New("request or push secret data is nil")
	}
	if err := m.check(in.GetProviderRef(), in.GetSourceNamespace()); err != nil {
		return nil, err
	}
	value, ok := in.GetSecretData()[in.GetPushSecretData().GetSecretKey()]
	if in.GetPushSecretData().GetSecretKey() == "" {
		whole := map[string]string{}
		for key, one := range in.GetSecretData() {
			whole[key] = string(one)
		}
		value, _ = json.Marshal(whole)
		ok = true
	}
	if !ok {
		return nil, errors.New("failed to push secret: no such key in the Secret")
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.secrets[in.GetPushSecretData().GetRemoteKey()] = string(value)
	return &providerv1.PushSecretResponse{}, nil
}

func (m *memoryStore) DeleteSecret(_ context.Context, in *providerv1.DeleteSecretRequest) (*providerv1.DeleteSecretResponse, error) {
	if err := m.check(in.GetProviderRef(), in.GetSourceNamespace()); err != nil {
		return nil, err
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.secrets, in.GetRemoteRef().GetRemoteKey())
	return &providerv1.DeleteSecretResponse{}, nil
}

func (m *memoryStore) SecretExists(_ context.Context, in *providerv1.SecretExistsRequest) (*providerv1.SecretExistsResponse, error) {
	if err := m.check(in.GetProviderRef(), in.GetSourceNamespace()); err != nil {
		return nil, err
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	_, ok := m.secrets[in.GetRemoteRef().GetRemoteKey()]
	return &providerv1.SecretExistsResponse{Exists: ok}, nil
}

func (m *memoryStore) Validate(context.Context, *providerv1.ValidateRequest) (*providerv1.ValidateResponse, error) {
	return &providerv1.ValidateResponse{Valid: true}, nil
}

func (m *memoryStore) Capabilities(context.Context, *providerv1.CapabilitiesRequest) (*providerv1.CapabilitiesResponse, error) {
	return &providerv1.CapabilitiesResponse{Capabilities: providerv1.SecretStoreCapabilities_READ_WRITE}, nil
}

// counter generates the next number, and remembers in its state which one it was.
type counter struct {
	generatorv1.UnimplementedGeneratorProviderServer
	last atomic.Int64
}

func (c *counter) Generate(_ context.Context, in *generatorv1.GenerateRequest) (*generatorv1.GenerateResponse, error) {
	if group, _, _ := strings.Cut(in.GetGeneratorRef().GetApiVersion(), "/"); group != "generators.external-secrets.io" {
		return nil, errors.New("failed to get generator: generatorRef may only reference the generators group")
	}
	number := fmt.Sprint(c.last.Add(1))
	return &generatorv1.GenerateResponse{
		Secrets: map[string][]byte{"number": []byte(number)},
		State:   []byte(`{"number":` + number + `}`),
	}, nil
}

func (c *counter) Cleanup(_ context.Context, in *generatorv1.CleanupRequest) (*generatorv1.CleanupResponse, error) {
	if !json.Valid(in.GetState()) {
		return nil, errors.New("failed to cleanup generator resources: the state is not JSON")
	}
	return &generatorv1.CleanupResponse{}, nil
}
