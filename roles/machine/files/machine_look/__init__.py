"""What a machine is like and whether Slipway can work on it: judged on the controller, from what look.sh says."""
