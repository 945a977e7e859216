// SPDX-License-Identifier: Apache-2.0

// Asks a chain what go-ethereum's ethclient can ask, and prints each answer on a line: its name, a
// tab, and JSON or the error.  Run against two URLs of the same chain it prints the same.
//
//	ethclient URL
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"time"

	"github.com/ethereum/go-ethereum"
	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/ethclient"
	"github.com/ethereum/go-ethereum/rlp"
	"github.com/ethereum/go-ethereum/rpc"
)

// A chain, and what was found on it that can be asked for.
type chain struct {
	*ethclient.Client
	ctx      context.Context
	head     *types.Block
	block    *types.Block // the newest with a transaction to somebody
	tx       *types.Transaction
	sender   common.Address
	contract common.Address
	previous *big.Int // the height before the head's
}

func show(name string, answer any, err error) {
	var text []byte
	if err == nil {
		text, err = json.Marshal(answer)
	}
	if err != nil {
		var data rpc.DataError
		if errors.As(err, &data) {
			fmt.Printf("%s\terror: %v, data: %v\n", name, err, data.ErrorData())
			return
		}
		fmt.Printf("%s\terror: %v\n", name, err)
		return
	}
	fmt.Printf("%s\t%s\n", name, text)
}

// A block as it is hashed, for it has no JSON of its own.
func whole(block *types.Block, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	bytes, err := rlp.EncodeToBytes(block)
	return hexutil.Bytes(bytes), err
}

func find(ctx context.Context, url string) (*chain, error) {
	client, err := ethclient.DialContext(ctx, url)
	if err != nil {
		return nil, err
	}
	c := &chain{Client: client, ctx: ctx}
	if c.head, err = c.BlockByNumber(ctx, nil); err != nil {
		return nil, err
	}
	c.previous = new(big.Int).Sub(c.head.Number(), big.NewInt(1))
	for n := c.head.NumberU64(); n > 0; n-- {
		block, err := c.BlockByNumber(ctx, new(big.Int).SetUint64(n))
		if err != nil {
			return nil, err
		}
		for i, tx := range block.Transactions() {
			if tx.To() == nil || len(tx.Data()) == 0 {
				continue
			}
			c.block, c.tx, c.contract = block, tx, *tx.To()
			c.sender, err = c.TransactionSender(ctx, tx, block.Hash(), uint(i))
			return c, err
		}
	}
	return nil, errors.New("no transaction with data on this chain")
}

func (c *chain) blocks() {
	number, err := c.BlockNumber(c.ctx)
	show("BlockNumber", number, err)
	header, err := c.HeaderByNumber(c.ctx, nil)
	show("HeaderByNumber", header, err)
	header, err = c.HeaderByNumber(c.ctx, big.NewInt(int64(rpc.FinalizedBlockNumber)))
	show("HeaderByNumber finalized", header, err)
	header, err = c.HeaderByHash(c.ctx, c.block.Hash())
	show("HeaderByHash", header, err)
	answer, err := whole(c.BlockByNumber(c.ctx, c.previous))
	show("BlockByNumber", answer, err)
	answer, err = whole(c.BlockByHash(c.ctx, c.block.Hash()))
	show("BlockByHash", answer, err)
	answer, err = whole(c.BlockByHash(c.ctx, common.Hash{1}))
	show("BlockByHash of none", answer, err)
	receipts, err := c.BlockReceipts(c.ctx, rpc.BlockNumberOrHashWithHash(c.block.Hash(), true))
	show("BlockReceipts", receipts, err)
	count, err := c.TransactionCount(c.ctx, c.block.Hash())
	show("TransactionCount", count, err)
}

func (c *chain) transactions() {
	tx, pending, err := c.TransactionByHash(c.ctx, c.tx.Hash())
	show("TransactionByHash", []any{tx, pending}, err)
	tx, err = c.TransactionInBlock(c.ctx, c.block.Hash(), 0)
	show("TransactionInBlock", tx, err)
	receipt, err := c.TransactionReceipt(c.ctx, c.tx.Hash())
	show("TransactionReceipt", receipt, err)
	receipt, err = c.TransactionReceipt(c.ctx, common.Hash{1})
	show("TransactionReceipt of none", receipt, err)
	logs, err := c.FilterLogs(c.ctx, ethereum.FilterQuery{FromBlock: big.NewInt(1)})
	show("FilterLogs", logs, err)
	hash := c.block.Hash()
	logs, err = c.FilterLogs(c.ctx, ethereum.FilterQuery{BlockHash: &hash})
	show("FilterLogs of a block", logs, err)
	show("SendTransaction again", nil, c.SendTransaction(c.ctx, c.tx))
}

func (c *chain) state() {
	balance, err := c.BalanceAt(c.ctx, c.sender, nil)
	show("BalanceAt", balance, err)
	balance, err = c.BalanceAtHash(c.ctx, c.sender, c.block.Hash())
	show("BalanceAtHash", balance, err)
	balance, err = c.BalanceAt(c.ctx, c.sender, new(big.Int).Add(c.head.Number(), big.NewInt(1000)))
	show("BalanceAt beyond the head", balance, err)
	nonce, err := c.NonceAt(c.ctx, c.sender, c.previous)
	show("NonceAt", nonce, err)
	nonce, err = c.PendingNonceAt(c.ctx, c.sender)
	show("PendingNonceAt", nonce, err)
	code, err := c.CodeAt(c.ctx, c.contract, nil)
	show("CodeAt", hexutil.Bytes(code), err)
	word, err := c.StorageAt(c.ctx, c.contract, common.Hash{}, nil)
	show("StorageAt", hexutil.Bytes(word), err)
	message := ethereum.CallMsg{From: c.sender, To: &c.contract, Data: c.tx.Data()}
	output, err := c.CallContract(c.ctx, message, nil)
	show("CallContract", hexutil.Bytes(output), err)
	output, err = c.CallContractAtHash(c.ctx, message, c.block.Hash())
	show("CallContractAtHash", hexutil.Bytes(output), err)
	gas, err := c.EstimateGas(c.ctx, message)
	show("EstimateGas", gas, err)
}

func (c *chain) network() {
	id, err := c.ChainID(c.ctx)
	show("ChainID", id, err)
	id, err = c.NetworkID(c.ctx)
	show("NetworkID", id, err)
	progress, err := c.SyncProgress(c.ctx)
	show("SyncProgress", progress, err)
	price, err := c.SuggestGasPrice(c.ctx)
	show("SuggestGasPrice", price, err)
	tip, err := c.SuggestGasTipCap(c.ctx)
	show("SuggestGasTipCap", tip, err)
	history, err := c.FeeHistory(c.ctx, 5, nil, []float64{10, 50, 90})
	show("FeeHistory", history, err)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: ethclient URL")
		os.Exit(3)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	c, err := find(ctx, os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, "ethclient:", err)
		os.Exit(1)
	}
	c.blocks()
	c.transactions()
	c.state()
	c.network()
}
