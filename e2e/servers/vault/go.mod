module external-secrets.io/e2e/servers/vault

go 1.25.1

require github.com/hashicorp/vault v1.21.0

// Vault's own go.mod points at folders of its tree; these are the releases made from the same commit.
replace (
	github.com/hashicorp/vault/api => github.com/hashicorp/vault/api v1.22.0
	github.com/hashicorp/vault/sdk => github.com/hashicorp/vault/sdk v0.20.0
)

// Replacements that Vault's own go.mod makes, and one dependency that is only to be had under its new owner.
replace (
	github.com/99designs/keyring => github.com/Jeffail/keyring v1.2.3
	github.com/ma314smith/signedxml => github.com/moov-io/signedxml v1.1.1
)
