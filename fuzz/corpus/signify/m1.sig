untrusted comment: verify with k1.pub
RWSfHG3wkm56/s3/D/qWo5cIHdwwEC5ipd+nvoLQWUSHaiDWCZvJhpNne1CZnsz5ukMQO4FwL88c5C3vUya01RvU+7+CnK/FwAI=
