// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// A tree as tests/support/tree_main.c prints it: over the leaves u64 seed || u64 index.
type tree struct {
	Seed      uint64
	Size      int64
	Root      string
	Inclusion []struct {
		Index int64
		Proof []string
	}
	Consistency []struct {
		Old   int64
		Proof []string
	}
	Tiles map[string]string // path: SHA-256 of its bytes, in hex
}

// forest is tlog's own store of the hashes of one seed's leaves, as far as they were needed.
type forest struct {
	seed   uint64
	size   int64
	stored []tlog.Hash
}

func (f *forest) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, at := range indexes {
		list[i] = f.stored[at]
	}
	return list, nil
}

func (f *forest) leaf(i int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, f.seed), uint64(i))
}

func (f *forest) grow(seed uint64, size int64) error {
	if seed != f.seed {
		*f = forest{seed: seed}
	}
	for ; f.size < size; f.size++ {
		hashes, err := tlog.StoredHashes(f.size, f.leaf(f.size), f)
		if err != nil {
			return err
		}
		f.stored = append(f.stored, hashes...)
	}
	return nil
}

func sameHashes(texts []string, hashes []tlog.Hash) error {
	if len(texts) != len(hashes) {
		return fmt.Errorf("%d hashes, tlog has %d", len(texts), len(hashes))
	}
	for i, text := range texts {
		hash, err := tlog.ParseHash(text)
		if err != nil {
			return err
		}
		if hash != hashes[i] {
			return fmt.Errorf("hash %d is %s, tlog's %s", i, hash, hashes[i])
		}
	}
	return nil
}

func (f *forest) checkProofs(t *tree, root tlog.Hash) error {
	for _, p := range t.Inclusion {
		proof, err := tlog.ProveRecord(t.Size, p.Index, f)
		if err == nil {
			err = sameHashes(p.Proof, proof)
		}
		if err == nil {
			err = tlog.CheckRecord(proof, t.Size, root, p.Index, tlog.RecordHash(f.leaf(p.Index)))
		}
		if err != nil {
			return fmt.Errorf("inclusion of %d: %w", p.Index, err)
		}
	}
	for _, p := range t.Consistency {
		old, err := tlog.TreeHash(p.Old, f)
		if err != nil {
			return err
		}
		proof, err := tlog.ProveTree(t.Size, p.Old, f)
		if err == nil {
			err = sameHashes(p.Proof, proof)
		}
		if err == nil {
			err = tlog.CheckTree(proof, t.Size, root, p.Old, old)
		}
		if err != nil {
			return fmt.Errorf("consistency with %d: %w", p.Old, err)
		}
	}
	return nil
}

func (f *forest) checkTiles(t *tree) error {
	tiles := tlog.NewTiles(8, 0, t.Size)
	if len(tiles) != len(t.Tiles) {
		return fmt.Errorf("%d tiles, tlog has %d", len(t.Tiles), len(tiles))
	}
	for _, tile := range tiles {
		data, err := tlog.ReadTileData(tile, f)
		if err != nil {
			return err
		}
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		digest := sha256.Sum256(data)
		if t.Tiles[path] != hex.EncodeToString(digest[:]) {
			return fmt.Errorf("%s is not there or another one", path)
		}
	}
	return nil
}

func (f *forest) check(t *tree) (string, error) {
	if err := f.grow(t.Seed, t.Size); err != nil {
		return "", err
	}
	root, err := tlog.TreeHash(t.Size, f)
	if err != nil {
		return "", err
	}
	if root.String() != t.Root {
		return "", fmt.Errorf("root %s, tlog's %s", t.Root, root)
	}
	if err := f.checkProofs(t, root); err != nil {
		return "", err
	}
	if err := f.checkTiles(t); err != nil {
		return "", err
	}
	return fmt.Sprintf("inclusion=%d consistency=%d tiles=%d", len(t.Inclusion),
		len(t.Consistency), len(t.Tiles)), nil
}

// checkTrees reads a file with a tree in each line.
func checkTrees(path string) bool {
	data, err := os.ReadFile(path)
	if err != nil {
		return report(path, "", err)
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 64<<20)
	var f forest
	fine, count := true, 0
	for lines.Scan() {
		var t tree
		err := json.Unmarshal(lines.Bytes(), &t)
		found := ""
		if err == nil {
			found, err = f.check(&t)
		}
		fine = report(fmt.Sprintf("size=%d", t.Size), found, err) && fine
		count++
	}
	if count == 0 {
		return report(path, "", errors.New("no trees"))
	}
	return fine
}
