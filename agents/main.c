#include "version.h"

int main(void)
{
    puts("etinde-agent " ETINDE_VERSION " (" ETINDE_COMMIT ")");
    return 0;
}
