package main

import (
	"fmt"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/jimlambrt/gldap"
)

type predicate func(entry) bool

// compile turns a search filter (RFC 4515) into a predicate: and, or, not, equality and presence; others are an error.
// Values are compared without regard to case, as the matching rules of uid, cn and member have it.
func compile(filter string) (predicate, error) {
	parsed, err := ldap.CompileFilter(filter)
	if err != nil {
		return nil, err
	}
	return fromPacket(parsed)
}

func fromPacket(packet *ber.Packet) (predicate, error) {
	switch packet.Tag {
	case ldap.FilterAnd, ldap.FilterOr, ldap.FilterNot:
		return combine(packet)
	case ldap.FilterPresent:
		name := text(packet)
		return func(e entry) bool { return len(values(e, name)) > 0 }, nil
	case ldap.FilterEqualityMatch:
		name, wanted := text(packet.Children[0]), text(packet.Children[1])
		return func(e entry) bool {
			for _, value := range values(e, name) {
				if strings.EqualFold(value, wanted) || sameDN(value, wanted) {
					return true
				}
			}
			return false
		}, nil
	}
	return nil, fmt.Errorf("filter type %d is not supported", packet.Tag)
}

func combine(packet *ber.Packet) (predicate, error) {
	inner := make([]predicate, 0, len(packet.Children))
	for _, child := range packet.Children {
		made, err := fromPacket(child)
		if err != nil {
			return nil, err
		}
		inner = append(inner, made)
	}
	tag := packet.Tag
	return func(e entry) bool {
		for _, holds := range inner {
			switch {
			case tag == ldap.FilterNot:
				return !holds(e)
			case tag == ldap.FilterAnd && !holds(e):
				return false
			case tag == ldap.FilterOr && holds(e):
				return true
			}
		}
		return tag == ldap.FilterAnd
	}, nil
}

func text(packet *ber.Packet) string {
	if value, ok := packet.Value.(string); ok && value != "" {
		return value
	}
	return packet.Data.String()
}

func values(e entry, name string) []string {
	for known, found := range e.Attributes {
		if strings.EqualFold(known, name) {
			return found
		}
	}
	return nil
}

func sameDN(left, right string) bool {
	a, errA := ldap.ParseDN(left)
	b, errB := ldap.ParseDN(right)
	return errA == nil && errB == nil && a.EqualFold(b)
}

func inScope(dn, base string, scope gldap.Scope) bool {
	inner, errInner := ldap.ParseDN(dn)
	outer, errOuter := ldap.ParseDN(base)
	if errInner != nil || errOuter != nil {
		return false
	}
	same := inner.EqualFold(outer)
	switch scope {
	case gldap.BaseObject:
		return same
	case gldap.SingleLevel:
		return outer.AncestorOfFold(inner) && len(inner.RDNs) == len(outer.RDNs)+1
	}
	return same || outer.AncestorOfFold(inner)
}
