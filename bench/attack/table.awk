END{print "x"}
