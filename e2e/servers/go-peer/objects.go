package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// Dialects of the Go providers: in the older one (P) the store kinds have other names, credentials are always the caller's,
// and an absent secret is an error like any other.
const (
	dialectS = "s"
	dialectP = "p"
)

// object is a config object as a cluster holds it, with the secrets of the backend that it leads to.
type object struct {
	Kind      string            `json:"kind"`
	Name      string            `json:"name"`
	Namespace string            `json:"namespace"`
	Selector  string            `json:"selector"` // namespace written in its credentials selector
	Invalid   bool              `json:"invalid"`  // its settings can't work
	Refused   bool              `json:"refused"`  // the backend refuses its credentials
	Secrets   map[string]string `json:"secrets"`

	mutex sync.Mutex
}

// cluster is what a Go provider reads from Kubernetes.
type cluster struct {
	Credentials []string  `json:"credentials"` // namespaces that have the credentials Secret
	Objects     []*object `json:"objects"`

	dialect string
	// anything is a cluster in which every reference leads to the one object there is.
	anything bool
}

func clusterOfAnything(secrets map[string]string, dialect string) *cluster {
	return &cluster{Objects: []*object{{Secrets: secrets}}, dialect: dialect, anything: true}
}

func readCluster(file, dialect string) (*cluster, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	made := &cluster{dialect: dialect}
	if err := json.Unmarshal(content, made); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, one := range made.Objects {
		if one.Secrets == nil {
			one.Secrets = map[string]string{}
		}
	}
	return made, nil
}

// reference is what both kinds of references have in common.
type reference interface {
	GetApiVersion() string
	GetKind() string
	GetName() string
	GetNamespace() string
}

// find gives the config object. It is read from the reference's namespace, or else from the caller's, and no boundary is
// enforced: that is the core's business in both dialects. The kind is looked at afterwards only, so that of a reference that is wrong
// in both respects the missing object is told.
func (c *cluster) find(ref reference, sourceNamespace string) (*object, error) {
	if c.anything {
		return c.Objects[0], c.resolve(ref)
	}
	namespace, named := namespaceOf(ref, sourceNamespace), false
	for _, one := range c.Objects {
		if one.Namespace != namespace || one.Name != ref.GetName() {
			continue
		}
		if one.Kind == ref.GetKind() {
			return one, c.resolve(ref)
		}
		named = true
	}
	if named && !c.serves(ref.GetKind()) {
		return nil, c.resolve(ref)
	}
	return nil, fmt.Errorf("failed to map provider reference to spec: %s %q not found in namespace %q", ref.GetKind(), ref.GetName(), namespace)
}

// resolve says whether the kind is served.
func (c *cluster) resolve(ref reference) error {
	if strings.Count(ref.GetApiVersion(), "/") != 1 {
		return fmt.Errorf("failed to resolve provider: invalid api version: %s", ref.GetApiVersion())
	}
	if !c.serves(ref.GetKind()) {
		return fmt.Errorf("failed to resolve provider: resource mapping not found for %s %s", ref.GetApiVersion(), ref.GetKind())
	}
	return nil
}

func (c *cluster) serves(kind string) bool {
	return c.anything || slices.ContainsFunc(c.Objects, func(one *object) bool { return one.Kind == kind })
}

// findGenerator gives a generator. Here the kind is looked at first, and a group that is not the generators' before it.
func (c *cluster) findGenerator(ref reference, sourceNamespace string) (*object, error) {
	group, _, _ := strings.Cut(ref.GetApiVersion(), "/")
	switch {
	case strings.Count(ref.GetApiVersion(), "/") != 1:
		return nil, fmt.Errorf("invalid api version: %s", ref.GetApiVersion())
	case group != "generators.external-secrets.io":
		return nil, fmt.Errorf("generatorRef may only reference the generators group, but got %s", group)
	case !c.serves(ref.GetKind()):
		return nil, fmt.Errorf("generator mapping not found for %s %s", ref.GetApiVersion(), ref.GetKind())
	}
	found, err := c.find(ref, sourceNamespace)
	if err != nil {
		return nil, fmt.Errorf("failed to get generator resource: %s %q not found", ref.GetKind(), ref.GetName())
	}
	return found, nil
}

func namespaceOf(ref reference, sourceNamespace string) string {
	if ref.GetNamespace() != "" {
		return ref.GetNamespace()
	}
	return sourceNamespace
}

// isClusterScoped knows the dialect's own kind only; every other one counts as namespaced.
func (c *cluster) isClusterScoped(storeKind string) bool {
	if c.dialect == dialectP {
		return storeKind == "ClusterProvider"
	}
	return storeKind == "ClusterSecretStore"
}

// logIn reads the credentials where the dialect does. A namespace in a selector counts for cluster-scoped stores, and is
// ignored without a word for all others.
func (c *cluster) logIn(one *object, ref reference, storeKind, sourceNamespace string) error {
	if c.anything {
		return nil
	}
	namespace := namespaceOf(ref, sourceNamespace)
	if c.dialect == dialectP {
		namespace = sourceNamespace
	}
	if one.Selector != "" && c.isClusterScoped(storeKind) {
		namespace = one.Selector
	}
	switch {
	case one.Invalid:
		return errors.New("spec.limit must not be negative")
	case one.Refused:
		return errors.New("the backend refuses the token of Secret \"login\"")
	case !slices.Contains(c.Credentials, namespace):
		return fmt.Errorf("secret \"login\" not found in namespace %q", namespace)
	}
	return nil
}
