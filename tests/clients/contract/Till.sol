// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// What the client tests deploy: it stores, logs, reverts in each way, and answers at any length.
contract Till {
    error Refused(uint256 code, string why);

    event Changed(address indexed by, uint256 indexed from, uint256 to);

    uint256 public amount;

    constructor(uint256 start) {
        amount = start;
    }

    function set(uint256 to) external {
        emit Changed(msg.sender, amount, to);
        amount = to;
    }

    function refuse(uint256 code, string calldata why) external pure {
        revert Refused(code, why);
    }

    function complain() external pure {
        require(false, "no such thing");
    }

    function panic(uint256 by) external pure returns (uint256) {
        return 1 / by;
    }

    function blob(uint256 length) external pure returns (bytes memory) {
        return new bytes(length);
    }
}
