package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/tidwall/gjson"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	providerv1 "external-secrets.io/e2e/servers/go-peer/gen/provider/v1"
)

// memoryStore answers in the manner of the Go providers: absent secrets are NOT_FOUND (or, in the older ones, UNKNOWN with
// the same ending), and everything else that goes wrong is UNKNOWN with free text, here as a plain error.
type memoryStore struct {
	providerv1.UnimplementedSecretStoreProviderServer
	cluster *cluster
}

const absent = "Secret does not exist"

// open gives the config object of a data call, in the order of checks that the Go servers have: the request's body was
// looked at before.
func (m *memoryStore) open(ref *providerv1.ProviderReference, sourceNamespace string) (*object, error) {
	if sourceNamespace == "" {
		return nil, errors.New("source namespace is required")
	}
	return m.client(ref, sourceNamespace)
}

func (m *memoryStore) client(ref *providerv1.ProviderReference, sourceNamespace string) (*object, error) {
	if ref == nil {
		return nil, errors.New("provider reference is required")
	}
	found, err := m.cluster.find(ref, sourceNamespace)
	if err != nil {
		return nil, fmt.Errorf("failed to get client: %w", err)
	}
	if err := m.cluster.logIn(found, ref, ref.GetStoreRefKind(), sourceNamespace); err != nil {
		return nil, fmt.Errorf("failed to get client: %w", err)
	}
	return found, nil
}

// missing says that the backend has no such secret. With a code of its own it needs no words before it.
func (m *memoryStore) missing(what string) error {
	if m.cluster.dialect == dialectP {
		return errors.New(what + absent)
	}
	return status.Error(codes.NotFound, absent)
}

// misbehave plays a backend in trouble for keys below fault/, and one that takes a while for the key slow. Of a deadline that is over the Go servers tell the code; for
// everything else there is only text.
func misbehave(ctx context.Context, key, what string) error {
	switch key {
	case "slow":
		return wait(ctx, 1500*time.Millisecond, nil)
	case "fault/hang":
		return wait(ctx, 8*time.Second, errors.New(what+"the backend did not answer in time"))
	case "fault/timeout":
		return errors.New(what + "the backend did not answer in time")
	case "fault/unavailable":
		return errors.New(what + "the backend is away")
	case "fault/denied":
		return errors.New(what + "the backend refuses this secret")
	case "fault/leak":
		// An error that wraps a backend's own gRPC status brings that status's code along.
		return fmt.Errorf("%s%w", what, status.Error(codes.PermissionDenied, "the caller does not have permission"))
	case "fault/long":
		// Texts travel in trailers; a Go core accepts 16 MiB of those.
		return errors.New(what + strings.Repeat("the backend tells its whole story ", 600))
	}
	return nil
}

// wait gives `then` when the time is over, unless the caller's is over sooner.
func wait(ctx context.Context, pause time.Duration, then error) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
		return then
	}
}

func (m *memoryStore) read(ctx context.Context, from *object, ref *providerv1.ExternalSecretDataRemoteRef, what string) (string, error) {
	if err := misbehave(ctx, ref.GetKey(), what); err != nil {
		return "", err
	}
	from.mutex.Lock()
	defer from.mutex.Unlock()
	value, ok := from.Secrets[ref.GetKey()]
	if !ok {
		return "", m.missing(what)
	}
	if ref.GetProperty() == "" {
		return value, nil
	}
	if !gjson.Valid(value) {
		return "", errors.New(what + "the secret is not a JSON object")
	}
	part, ok := property(value, ref.GetProperty())
	if !ok {
		return "", m.missing(what)
	}
	return part, nil
}

// property is a gjson path; a member whose name is literally the path wins.
func property(value, path string) (string, bool) {
	found := gjson.Result{}
	if strings.Contains(path, ".") {
		found = gjson.Get(value, strings.ReplaceAll(path, ".", `\.`))
	}
	if !found.Exists() {
		found = gjson.Get(value, path)
	}
	return found.String(), found.Exists()
}

// asMap takes strings without their quotes and everything else as its JSON text.
func asMap(value string) (map[string][]byte, error) {
	members := map[string]json.RawMessage{}
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

func (m *memoryStore) GetSecret(ctx context.Context, in *providerv1.GetSecretRequest) (*providerv1.GetSecretResponse, error) {
	if in.GetRemoteRef() == nil {
		return nil, errors.New("request or remote ref is nil")
	}
	from, err := m.open(in.GetProviderRef(), in.GetSourceNamespace())
	if err != nil {
		return nil, err
	}
	value, err := m.read(ctx, from, in.GetRemoteRef(), "failed to get secret: ")
	if err != nil {
		return nil, err
	}
	return &providerv1.GetSecretResponse{Value: []byte(value)}, nil
}

func (m *memoryStore) GetSecretMap(ctx context.Context, in *providerv1.GetSecretMapRequest) (*providerv1.GetSecretMapResponse, error) {
	if in.GetRemoteRef() == nil {
		return nil, errors.New("request or remote ref is nil")
	}
	from, err := m.open(in.GetProviderRef(), in.GetSourceNamespace())
	if err != nil {
		return nil, err
	}
	value, err := m.read(ctx, from, in.GetRemoteRef(), "failed to get secret map: ")
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
	from, err := m.open(in.GetProviderRef(), in.GetSourceNamespace())
	if err != nil {
		return nil, err
	}
	if in.GetFind().GetName() == nil {
		return nil, errors.New("failed to get all secrets: unsupported find operator")
	}
	name, err := regexp.Compile(in.GetFind().GetName().GetRegexp())
	if err != nil {
		return nil, fmt.Errorf("failed to get all secrets: %w", err)
	}
	from.mutex.Lock()
	defer from.mutex.Unlock()
	found := map[string][]byte{}
	for key, value := range from.Secrets {
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
	to, err := m.open(in.GetProviderRef(), in.GetSourceNamespace())
	if err != nil {
		return nil, err
	}
	value, err := payload(in)
	if err != nil {
		return nil, fmt.Errorf("failed to push secret: %w", err)
	}
	to.mutex.Lock()
	defer to.mutex.Unlock()
	to.Secrets[in.GetPushSecretData().GetRemoteKey()] = value
	return &providerv1.PushSecretResponse{}, nil
}

// payload is the selected value, or the whole Secret as one JSON object of strings.
func payload(in *providerv1.PushSecretRequest) (string, error) {
	if key := in.GetPushSecretData().GetSecretKey(); key != "" {
		value, ok := in.GetSecretData()[key]
		if !ok {
			return "", errors.New("no such key in the Secret")
		}
		return string(value), nil
	}
	whole := map[string]string{}
	for key, one := range in.GetSecretData() {
		whole[key] = string(one)
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(whole)
	return strings.TrimSuffix(text.String(), "\n"), err
}

func (m *memoryStore) DeleteSecret(_ context.Context, in *providerv1.DeleteSecretRequest) (*providerv1.DeleteSecretResponse, error) {
	if in.GetRemoteRef() == nil {
		return nil, errors.New("request or remote ref is nil")
	}
	from, err := m.open(in.GetProviderRef(), in.GetSourceNamespace())
	if err != nil {
		return nil, err
	}
	from.mutex.Lock()
	defer from.mutex.Unlock()
	delete(from.Secrets, in.GetRemoteRef().GetRemoteKey())
	return &providerv1.DeleteSecretResponse{}, nil
}

func (m *memoryStore) SecretExists(_ context.Context, in *providerv1.SecretExistsRequest) (*providerv1.SecretExistsResponse, error) {
	if in.GetRemoteRef() == nil {
		return nil, errors.New("request or remote ref is nil")
	}
	from, err := m.open(in.GetProviderRef(), in.GetSourceNamespace())
	if err != nil {
		return nil, err
	}
	from.mutex.Lock()
	defer from.mutex.Unlock()
	_, ok := from.Secrets[in.GetRemoteRef().GetRemoteKey()]
	return &providerv1.SecretExistsResponse{Exists: ok}, nil
}

// Validate is asked without a source namespace for cluster-scoped stores. Where the credentials depend on it, nothing can
// be said yet, which counts as valid.
func (m *memoryStore) Validate(_ context.Context, in *providerv1.ValidateRequest) (*providerv1.ValidateResponse, error) {
	ref, source := in.GetProviderRef(), in.GetSourceNamespace()
	if ref == nil {
		return nil, errors.New("failed to get client: provider reference is required")
	}
	if source == "" && m.cluster.isClusterScoped(ref.GetStoreRefKind()) {
		found, err := m.cluster.find(ref, source)
		if err != nil {
			return nil, fmt.Errorf("failed to get client: %w", err)
		}
		if found.Selector == "" {
			return &providerv1.ValidateResponse{Valid: true}, nil
		}
	}
	if _, err := m.client(ref, source); err != nil {
		return nil, err
	}
	return &providerv1.ValidateResponse{Valid: true}, nil
}

// Capabilities is decided by the kind alone, without a look at any object.
func (m *memoryStore) Capabilities(_ context.Context, in *providerv1.CapabilitiesRequest) (*providerv1.CapabilitiesResponse, error) {
	ref := in.GetProviderRef()
	if ref == nil {
		return nil, errors.New("failed to resolve provider: provider reference is nil")
	}
	if err := m.cluster.resolve(ref); err != nil {
		return nil, err
	}
	return &providerv1.CapabilitiesResponse{Capabilities: providerv1.SecretStoreCapabilities_READ_WRITE}, nil
}
